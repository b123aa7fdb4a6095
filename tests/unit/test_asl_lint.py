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


def states_of(machine: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return all states of a definition by name, those in maps and branches too."""
    found = dict(machine["States"])
    for state in machine["States"].values():
        for part in (*state.get("Branches", []), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])):
            found |= states_of(part)
    return found


def broken(state: str, **changes: Any) -> dict[str, Any]:
    definition = copy.deepcopy(DEFINITION)
    changed = states_of(definition)[state]
    for key, value in changes.items():
        if value is None:
            changed.pop(key, None)
        else:
            changed[key] = value
    return definition


def renamed(state: str, part: str, old: str, new: str) -> dict[str, Any]:
    """Return the definition with one error of a Retry or a Catch under another name."""
    definition = copy.deepcopy(DEFINITION)
    items = states_of(definition)[state][part]
    (item,) = [item for item in items if old in item["ErrorEquals"]]
    item["ErrorEquals"][item["ErrorEquals"].index(old)] = new
    return definition


def policy(name: str) -> list[dict[str, Any]]:
    return copy.deepcopy(asl_lint.POLICIES[name])


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
        pytest.param(
            broken("Describe endpoint", TimeoutSeconds=None), "task 'Describe endpoint' has no time", id="in a branch"
        ),
        pytest.param(broken("Train fold", Retry=None), "task 'Train fold' has no Retry", id="in a map"),
        pytest.param(
            broken("Train", Retry=policy("endpoint")),
            "task 'Train' does not retry by the policy sagemaker-job",
            id="other policy",
        ),
        pytest.param(
            broken("Update endpoint", Retry=policy("sagemaker-job")),
            "task 'Update endpoint' does not retry by the policy endpoint",
            id="other policy in a branch",
        ),
        pytest.param(
            broken("Train", Retry=[{**policy("sagemaker-job")[0], "MaxAttempts": 4}]),
            "task 'Train' does not retry by the policy sagemaker-job",
            id="other number",
        ),
        pytest.param(
            renamed("Train", "Retry", "SageMaker.ResourceInUseException", "SageMaker.ResourceInUse"),
            "state 'Train': no error is named SageMaker.ResourceInUse",
            id="misspelt in a retry",
        ),
        pytest.param(
            renamed("Copy source file", "Catch", "EmptyResult", "EmptyResults"),
            "state 'Copy source file': no error is named EmptyResults",
            id="misspelt error of a handler",
        ),
        pytest.param(
            renamed("Describe endpoint", "Catch", "SageMaker.SageMakerException", "SageMaker.SagemakerException"),
            "state 'Describe endpoint': no error is named SageMaker.SagemakerException",
            id="misspelt in a branch",
        ),
        pytest.param(
            renamed("Cross-validate", "Catch", "States.Timeout", "States.TimeOut"),
            "state 'Cross-validate': no error is named States.TimeOut",
            id="misspelt in the catch of a map",
        ),
        pytest.param(
            broken("Train", Resource="arn:aws:states:::ecs:runTask.sync"),
            "task 'Train' calls ecs:runTask.sync, which has no retry policy",
            id="unknown kind of task",
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


@pytest.mark.parametrize("name", asl_lint.POLICIES)
def test_a_policy_backs_off_with_jitter_and_names_errors_that_exist(name: str) -> None:
    for retrier in policy(name):
        assert retrier["JitterStrategy"] == "FULL"
        assert retrier["BackoffRate"] > 1
        assert retrier["IntervalSeconds"] < retrier["MaxDelaySeconds"]
        assert asl_lint.unknown_errors({"Retry": [retrier]}) == []
        # Only what ends by itself is worth many tries: throttling.
        assert (retrier["MaxAttempts"] > 6) == ("TooManyRequests" in retrier["ErrorEquals"][0])
