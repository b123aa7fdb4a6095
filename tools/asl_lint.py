"""Lint the state machines: cfn-lint checks inline definitions only, and nothing checks the substitutions.

For every state machine of template.yaml: the definition is valid Amazon States Language (cfn-lint's own schema, fed
with the definition inlined), every ``${Name}`` in it is given by the template and every given one is used, every state
can be reached, every task has a Catch, a Retry and a time limit, and every Fail state says what went wrong.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cfnlint.api import lint
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[1]
SUBSTITUTION = re.compile(r"\$\{(\w+)\}")

State = dict[str, Any]


def main() -> int:
    """Print one line per finding and return the number of findings (0: all is well)."""
    findings = [finding for name, machine in state_machines() for finding in check(name, machine)]
    for finding in findings:
        print(finding)
    if not findings:
        print("state machines: no findings")
    return len(findings)


def state_machines() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield logical id and properties of each state machine in the template."""
    template = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::StateMachine":
            yield name, resource["Properties"]


def check(name: str, machine: dict[str, Any]) -> Iterator[str]:
    """Yield the findings of one state machine, each as ``file: message``."""
    uri = machine["DefinitionUri"]
    text = (ROOT / uri).read_text(encoding="utf-8")
    used, given = set(SUBSTITUTION.findall(text)), set(machine.get("DefinitionSubstitutions", {}))
    yield from (f"{uri}: ${{{missing}}} is used but {name} does not define it" for missing in sorted(used - given))
    yield from (f"{uri}: {name} defines {unused} but nothing uses it" for unused in sorted(given - used))
    values = machine.get("DefinitionSubstitutions", {})
    definition = json.loads(SUBSTITUTION.sub(lambda match: sample_value(match.group(1), values), text))
    yield from (f"{uri}: {finding}" for finding in cfn_lint(definition))
    yield from (f"{uri}: {finding}" for finding in check_states(definition))


def sample_value(substitution: str, values: dict[str, Any]) -> str:
    """Stand in for a value that only a deployment knows."""
    match values.get(substitution):
        case {"Fn::If": [_, str(text), str()]}:  # a parameter that may be left out; here it is not
            return text
    if substitution == "AwsPartition":
        return "aws"
    return f"arn:aws:service:eu-central-1:123456789012:{substitution}" if substitution.endswith("Arn") else substitution


def cfn_lint(definition: dict[str, Any]) -> list[str]:
    """Let cfn-lint judge a definition as part of a template made for that."""
    properties = {"RoleArn": "arn:aws:iam::123456789012:role/r", "Definition": definition}
    template = {"Resources": {"Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}}}
    return [
        f"{match.rule.id} {match.message}" for match in lint(json.dumps(template), config={"regions": ["eu-central-1"]})
    ]


def check_states(machine: State) -> Iterator[str]:
    """Yield what is missing in the states of a machine and of the maps in it."""
    states: dict[str, State] = machine["States"]
    entered = {machine["StartAt"], *(target for state in states.values() for target in targets(state))}
    yield from (f"state {name!r} cannot be reached" for name in sorted(states.keys() - entered))
    yield from (f"state {name!r} does not exist" for name in sorted(entered - states.keys()))
    for name, state in states.items():
        if state["Type"] == "Task":
            yield from (
                f"task {name!r} has no {part}" for part in missing_parts(state, inside_map="ProcessorConfig" in machine)
            )
        if state["Type"] == "Fail" and not state.keys() & {"Cause", "CausePath"}:
            yield f"fail state {name!r} gives no cause"
        if "ItemProcessor" in state:
            yield from check_states(state["ItemProcessor"])


def missing_parts(task: State, *, inside_map: bool) -> list[str]:
    """Name what a task lacks. Inside a map the map's own Catch is enough."""
    missing = [] if task.keys() & {"TimeoutSeconds", "TimeoutSecondsPath"} else ["time limit"]
    return missing + [part for part in ("Retry", "Catch") if part not in task and not (part == "Catch" and inside_map)]


def targets(state: State) -> Iterator[str]:
    """Yield the names of all states that may follow a state."""
    for holder in (state, *state.get("Choices", []), *state.get("Catch", [])):
        yield from (holder[key] for key in ("Next", "Default") if key in holder)


if __name__ == "__main__":
    sys.exit(min(main(), 1))
