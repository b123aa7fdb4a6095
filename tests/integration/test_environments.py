"""Every environment of samconfig.toml: deployed, updated, kept as it was by a failed update, and deleted."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from deployed_stack import ROOT, build, local_region, region_environment, sam, sam_deploy, stack_outputs

SAMCONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
ENVIRONMENTS = [name for name in SAMCONFIG if name != "version"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What `sam build` made, and a region of these tests' own to deploy it to."""
    home = tmp_path_factory.mktemp("environments")
    with pytest.MonkeyPatch.context() as patch, local_region(home / "region"):
        for variable, value in region_environment(home / "region").items():
            patch.setenv(variable, value)
        build(home / "build")
        yield home / "build"


def parameters(environment: str) -> dict[str, str]:
    """Return what samconfig.toml gives an environment: on the command line overrides replace all of them."""
    return dict(item.split("=", 1) for item in SAMCONFIG[environment]["deploy"]["parameters"]["parameter_overrides"])


def failures(stack: str) -> dict[str, str]:
    """Return why resources failed. sam prints it too, in a column so narrow that no word stays whole."""
    events = boto3.client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
    failed = [event for event in events if event["ResourceStatus"].endswith("FAILED")]
    return {event["LogicalResourceId"]: event["ResourceStatusReason"] for event in failed}


def settings(stack: str) -> dict[str, Any]:
    """Return what the updates below change: how long a log is kept, and when the schedule starts a run."""
    resources = boto3.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
    ids = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources}
    group = ids["TrainStateMachineLogGroup"]
    (log,) = boto3.client("logs").describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    schedule = boto3.client("scheduler").get_schedule(Name=ids["TrainStateMachineSchedule"])
    return {"days": log["retentionInDays"], "schedule": schedule["ScheduleExpression"]}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environments_life(built: Path, environment: str) -> None:
    stack = SAMCONFIG[environment]["global"]["parameters"]["stack_name"]
    first = parameters(environment)
    sam_deploy(built, environment, first)
    outputs = stack_outputs(stack)
    deployed = settings(stack)
    assert deployed["days"] == int(first.get("LogRetentionDays", 30))

    second = first | {"LogRetentionDays": "90", "ScheduleExpression": "rate(7 days)"}
    sam_deploy(built, environment, second)
    assert settings(stack) == {"days": 90, "schedule": "rate(7 days)"}

    # The pattern lets it pass; EventBridge Scheduler does not.
    third = second | {"LogRetentionDays": "180", "ScheduleExpression": "cron(at three)"}
    printed = sam_deploy(built, environment, third, succeeds=False)
    assert "UPDATE_ROLLBACK_COMPLETE" in printed
    assert "Invalid Schedule Expression cron(at three)" in failures(stack)["TrainStateMachineSchedule"]
    assert settings(stack) == {"days": 90, "schedule": "rate(7 days)"}
    assert stack_outputs(stack) == outputs

    sam("delete", "--stack-name", stack, "--region", os.environ["AWS_REGION"], "--no-prompts")
    left = [found["StackName"] for found in boto3.client("cloudformation").describe_stacks()["Stacks"]]
    assert left == ["aws-sam-cli-managed-default"]


@pytest.mark.parametrize(
    ("choices", "remedy"),
    [
        pytest.param({"EndpointMode": "serverless"}, "Deploy with ModelNetworkIsolation=no", id="isolated serverless"),
        pytest.param({"SubnetIds": "subnet-0a1b2c3d"}, "must be two to sixteen ids of subnets", id="one subnet"),
        pytest.param(
            {"KmsKeyId": "arn:aws:kms:eu-central-1:999999999999:key/1234abcd-12ab-34cd-56ef-1234567890ab"},
            "must be the id of a key in this account",
            id="foreign key",
        ),
    ],
)
def test_wrong_choices_are_refused_in_the_terminal(built: Path, choices: dict[str, str], remedy: str) -> None:
    printed = sam_deploy(built, "local", parameters("local") | choices, succeeds=False)
    assert remedy in printed
    made = [found["StackName"] for found in boto3.client("cloudformation").describe_stacks()["Stacks"]]
    assert "visitcast-local" not in made
