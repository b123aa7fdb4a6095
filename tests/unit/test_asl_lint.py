"""The linter finds what it claims to find, and the shipped state machines are clean."""

from __future__ import annotations

import copy
import json
from typing import Any

import asl_lint
import pytest

TEXT = (asl_lint.ROOT / "statemachine/train.asl.json").read_text(encoding="utf-8")
DEFINITION: dict[str, Any] = json.loads(
    asl_lint.SUBSTITUTION.sub(lambda match: asl_lint.sample_value(match.group(1), {}), TEXT)
)


def broken(state: str, **changes: Any) -> dict[str, Any]:
    definition = copy.deepcopy(DEFINITION)
    for key, value in changes.items():
        if value is None:
            definition["States"][state].pop(key, None)
        else:
            definition["States"][state][key] = value
    return definition


def test_the_shipped_state_machines_are_clean() -> None:
    assert [finding for name, machine in asl_lint.state_machines() for finding in asl_lint.check(name, machine)] == []


@pytest.mark.parametrize(
    ("definition", "finding"),
    [
        pytest.param(broken("Train", Catch=None), "task 'Train' has no Catch", id="no catch"),
        pytest.param(broken("Train", Retry=None), "task 'Train' has no Retry", id="no retry"),
        pytest.param(broken("Train", TimeoutSecondsPath=None), "task 'Train' has no time limit", id="no limit"),
        pytest.param(broken("Train", Next="Tran"), "state 'Tran' does not exist", id="unknown target"),
        pytest.param(
            broken("Preprocess", Next="Model rejected"), "state 'Is the dataset in parts?' cannot be", id="orphan"
        ),
        pytest.param(
            broken("Model rejected", CausePath=None), "fail state 'Model rejected' gives no cause", id="no cause"
        ),
    ],
)
def test_a_gap_is_found(definition: dict[str, Any], finding: str) -> None:
    assert any(found.startswith(finding) for found in asl_lint.check_states(definition))


def test_cfn_lint_judges_the_definition_itself() -> None:
    assert asl_lint.cfn_lint(DEFINITION) == []
    assert asl_lint.cfn_lint(broken("Train", Type="Tsk")) != []


def test_substitutions_must_be_both_defined_and_used() -> None:
    name, machine = next(asl_lint.state_machines())
    substitutions = dict(machine["DefinitionSubstitutions"])
    del substitutions["BucketName"]
    substitutions["Spare"] = "x"
    findings = list(asl_lint.check(name, {**machine, "DefinitionSubstitutions": substitutions}))
    assert any("${BucketName} is used" in finding for finding in findings)
    assert any("defines Spare" in finding for finding in findings)
