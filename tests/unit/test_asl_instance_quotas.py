"""Every job waits while others use the instances, and gives up at once where the account's quota is too low."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import jmespath
import pytest

from functions.shared.execution_input import load_schema

FOLDER = Path(__file__).parents[2] / "statemachine"
LIMIT = "SageMaker.ResourceLimitExceededException"
CAUSE = (
    "The account-level service limit 'ml.m5.xlarge for training job usage' is {} Instances, with current utilization "
    "of {} Instances and a request delta of {} Instances. Please use AWS Service Quotas to request an increase for "
    "this quota. (Service: AmazonSageMaker; Status Code: 400; Error Code: ResourceLimitExceeded; Proxy: null)"
)


def jobs(machine: dict[str, Any], around: dict[str, Any] | None = None) -> Iterator[Any]:
    """Yield each SageMaker job with the states beside it and the map around it."""
    for name, state in machine["States"].items():
        if "ItemProcessor" in state:
            yield from jobs(state["ItemProcessor"], {"state": state, "states": machine["States"]})
        elif ":sagemaker:create" in state.get("Resource", "") and state["Resource"].endswith(".sync"):
            yield pytest.param(name, machine["States"], around, id=name)


JOBS = [
    job
    for file in ("train", "forecast")
    for job in jobs(json.loads((FOLDER / f"{file}.asl.json").read_text(encoding="utf-8")))
]


def test_all_jobs_are_looked_at() -> None:
    assert len(JOBS) == 9


@pytest.mark.parametrize(("name", "states", "around"), JOBS)
def test_a_job_without_instances(name: str, states: dict[str, Any], around: dict[str, Any] | None) -> None:
    assert not [retrier for retrier in states[name]["Retry"] if LIMIT in retrier["ErrorEquals"]]
    first = states[name]["Catch"][0]
    assert first["ErrorEquals"] == [LIMIT]
    question = states[first["Next"]]
    (too_low,) = question["Choices"]
    assert too_low["Variable"] == f"{first['ResultPath']}.Cause"

    def next_state(quota: int, in_use: int, wanted: int = 1) -> str:
        matches = fnmatchcase(CAUSE.format(quota, in_use, wanted), too_low["StringMatches"])
        return str(too_low["Next"] if matches else question["Default"])

    for full in (next_state(1, 1), next_state(10, 10), next_state(20, 20)):
        assert states[full]["Type"] == "Wait"
        assert states[full]["Next"] == name
    for hopeless in (next_state(0, 0), next_state(2, 0, 3)):
        end = states[hopeless]
        assert (end["Type"], end["Error"]) == ("Fail", "InstanceQuotaTooLow")
        if around:
            outer = around["state"]["Catch"][0]
            assert outer["ErrorEquals"] == [end["Error"]]
            end = around["states"][outer["Next"]]
        assert "Service Quotas" in end["CausePath"]
        assert "$.failure.Cause" in end["CausePath"]


def test_an_endpoint_without_instances_ends_within_minutes() -> None:
    train = json.loads((FOLDER / "train.asl.json").read_text(encoding="utf-8"))
    (branch,) = train["States"]["Deploy"]["Branches"]
    states = branch["States"]
    for name in ("Create endpoint", "Update endpoint", "Update serverless endpoint"):
        (retrier,) = states[name]["Retry"]
        pauses = [retrier["IntervalSeconds"] * retrier["BackoffRate"] ** n for n in range(retrier["MaxAttempts"])]
        assert LIMIT in retrier["ErrorEquals"]
        assert sum(min(pause, retrier["MaxDelaySeconds"]) for pause in pauses) <= 15 * 60
        assert states[name]["Catch"][0] == {
            "ErrorEquals": [LIMIT],
            "ResultPath": "$.failure",
            "Next": "Endpoint quota too low",
        }


USES = {
    "train": {
        "Preprocessing": "processing job",
        "Training": "training job",
        "Evaluation": "processing job",
        "Endpoint": "endpoint",
    },
    "forecast": {"Requests": "processing job", "Transform": "transform job", "Plan": "processing job"},
}


def test_the_operations_page_lists_the_quotas_of_the_defaults_and_its_command_finds_them() -> None:
    needed = set()
    for workflow, uses in USES.items():
        properties = load_schema(workflow)["properties"]
        assert {name for name, value in properties.items() if "InstanceType" in value.get("properties", {})} == set(
            uses
        )
        for section, use in uses.items():
            needed.add(f"{properties[section]['properties']['InstanceType']['default']} for {use} usage")
    page = (FOLDER.parent / "docs/operations.md").read_text(encoding="utf-8")
    table = set(re.findall(r"^\| `(ml\.[^`]+ usage)` \|", page, re.MULTILINE))
    assert table == needed
    (query,) = re.findall(r'list-service-quotas .*--query "(.+)"', page)
    quotas = [{"QuotaName": name, "Value": 0.0, "QuotaCode": "L-1"} for name in [*sorted(needed), "another"]]
    assert {row[0] for row in jmespath.search(query, {"Quotas": quotas})} == needed
