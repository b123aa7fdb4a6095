"""npm's aws-local-stepfunctions, an interpreter of its own, runs every case of the mock file as the local region does.

Two of its limits are worked around: it reads the path of TimeoutSecondsPath in the result of Parameters instead of the
state's input, and it knows no intrinsic functions in CausePath.
"""

from __future__ import annotations

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import cases
import mock_config
import pytest
from patience import patient
from programs import BIN, BUILD, missing

Results = dict[tuple[str, str], dict[str, Any]]

LIMITS = {
    ("visitcast-train-mocked", "EverythingOnServerless"): (
        "States.JsonMerge of aws-local-stepfunctions changes its first argument in the state's data, so the output has "
        "the tuned hyperparameters among those of the run"
    )
}


def adapted(definition: dict[str, Any]) -> dict[str, Any]:
    """Return a definition without what the interpreter does not know: the cause of such a Fail state is its text."""
    known = copy.deepcopy(definition)
    machines = [known]
    while machines:
        for state in machines.pop()["States"].values():
            state.pop("TimeoutSecondsPath", None)
            if state.get("CausePath", "").startswith("States."):
                state["Cause"] = state.pop("CausePath")
            machines += state.get("Branches", [])
            machines += [state["ItemProcessor"]] if "ItemProcessor" in state else []
    return known


@pytest.fixture(scope="module")
def theirs() -> Results:
    """What the interpreter makes of each case."""
    if not (BUILD / "npm/node_modules").is_dir():
        missing("aws-local-stepfunctions: `make judge` installs it with npm, whose registry was not reached.")
    found: Results = {}
    for machine, (_, of_machine, responses) in mock_config.MACHINES.items():
        document = {
            "definition": adapted(cases.definition(machine)),
            "cases": {name: mocked for name, (_, mocked) in of_machine.items()},
            "responses": responses,
        }
        done = subprocess.run(
            [str(BIN / "node"), str(Path(__file__).with_name("interpret.mjs"))],
            cwd=BUILD / "npm",
            input=json.dumps(document),
            capture_output=True,
            text=True,
            check=False,
            timeout=patient(240),
        )
        assert done.returncode == 0, done.stderr[-3000:]
        found |= {(machine, name): result for name, result in json.loads(done.stdout).items()}
    return found


@pytest.mark.parametrize(
    ("machine", "case"),
    [
        pytest.param(*case, marks=[pytest.mark.xfail(strict=True, reason=LIMITS[case])] if case in LIMITS else [])
        for case in cases.CASES
    ],
)
def test_a_case_ends_as_in_the_local_region(ours: Results, theirs: Results, machine: str, case: str) -> None:
    expected = dict(ours[machine, case])
    end = cases.definition(machine)["States"][expected["entered"][-1]]
    if end.get("CausePath", "").startswith("States."):
        expected["cause"] = end["CausePath"]
    result = {"error": None, "cause": None, "output": None, **theirs[machine, case]}
    assert not cases.difference(expected, result, machine)
