"""Mocked responses and definitions of the state machines for Step Functions Local.

    PYTHONPATH=. .venv/bin/python tools/mock_config.py mocks > tests/stepfunctions_local/MockConfigFile.json
    PYTHONPATH=. .venv/bin/python tools/mock_config.py train > build/train.asl.json
    PYTHONPATH=. .venv/bin/python tools/mock_config.py forecast > build/forecast.asl.json

The mocks are test cases: for each Task state on a path, the response that stands in for the service. The definitions
have sample values for everything that only a deployment knows. A test runs every case and compares the file with what
this prints.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

import forecast_cases
import train_cases
from asl_lint import ROOT, SUBSTITUTION, sample_value, state_machines
from mocked_responses import Case, Response


def definition(state_machine: str) -> dict[str, Any]:
    """Return the definition of a state machine, by its logical id in the template, with sample values."""
    machine = next(properties for name, properties in state_machines() if name == state_machine)
    text = (ROOT / machine["DefinitionUri"]).read_text(encoding="utf-8")
    values = machine["DefinitionSubstitutions"]
    found: dict[str, Any] = json.loads(SUBSTITUTION.sub(lambda match: sample_value(match.group(1), values), text))
    return found


Cases = dict[str, tuple[str, Case]]
MACHINES: dict[str, tuple[str, Cases, dict[str, Response]]] = {
    train_cases.MACHINE: ("TrainStateMachine", train_cases.CASES, train_cases.RESPONSES),
    forecast_cases.MACHINE: ("ForecastStateMachine", forecast_cases.CASES, forecast_cases.RESPONSES),
}
"""Each state machine by its name in the file: its logical id in the template, its cases, and their responses."""


def mock_config() -> dict[str, Any]:
    """Return the mock configuration; responses that no case uses are left out.

    Raises
    ------
    ValueError
        Two responses have one name.
    """
    machines: dict[str, Any] = {}
    mocked: dict[str, Response] = {}
    for machine, (_, cases, responses) in MACHINES.items():
        machines[machine] = {"TestCases": {name: states for name, (_, states) in cases.items()}}
        used = {response for _, states in cases.values() for response in states.values()}
        if twice := used & mocked.keys():
            raise ValueError(f"Responses of two state machines have one name: {twice}")
        mocked |= {name: response for name, response in responses.items() if name in used}
    return {"StateMachines": machines, "MockedResponses": mocked}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Print what Step Functions Local needs.")
    parser.add_argument("document", choices=("mocks", "train", "forecast"))
    document = parser.parse_args().document
    print(text(mock_config() if document == "mocks" else definition(f"{document.title()}StateMachine")))


def text(document: Mapping[str, Any]) -> str:
    """Return a document as printed."""
    return json.dumps(document, indent=2)


if __name__ == "__main__":
    main()
