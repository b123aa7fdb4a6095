"""The environments of samconfig.toml: what each would deploy, and the life of a stack from deployment to deletion."""

from __future__ import annotations

import os
import shutil
import tomllib
from pathlib import Path
from typing import Any

import boto3
import pytest
from deployed_stack import ROOT, EmptyRegion
from sam_commands import sam, sam_deploy, stack_outputs

SAMCONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
del SAMCONFIG["version"]  # everything else is an environment


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


def stacks() -> dict[str, str]:
    """Return the status of each stack that there is, except of the one in which sam keeps its bucket."""
    found = boto3.client("cloudformation").describe_stacks()["Stacks"]
    status = {stack["StackName"]: stack["StackStatus"] for stack in found}
    del status["aws-sam-cli-managed-default"]
    return status


def test_environments_differ_in_their_parameters_alone(empty_region: EmptyRegion) -> None:
    """Each environment's change set can be made with its parameters, and would make the same resources as any other."""
    cloudformation = boto3.client("cloudformation")
    resources = {}
    for environment in ("dev", "prod", "local"):  # default is dev
        settings = SAMCONFIG[environment]
        stack, wanted = settings["global"]["parameters"]["stack_name"], parameters(environment)
        sam_deploy(empty_region.build, environment, wanted, "--no-execute-changeset")
        # CloudFormation has accepted the template with these parameters and checked its rules.
        assert stacks() == {stack: "REVIEW_IN_PROGRESS"}
        listed = cloudformation.list_change_sets(StackName=stack)["Summaries"]
        (change_set,) = [found["ChangeSetId"] for found in listed if found["StackName"] == stack]  # moto lists them all
        described = cloudformation.describe_change_set(ChangeSetName=change_set)
        given = {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in described["Parameters"]}
        assert {name: given[name] for name in wanted} == wanted
        changes = [change["ResourceChange"] for change in described["Changes"]]
        resources[environment] = {
            change["LogicalResourceId"]: change["ResourceType"]
            for change in changes
            if change["ResourceType"] != "AWS::Lambda::Version"  # named by a hash of the address of the code
        }
        cloudformation.delete_stack(StackName=stack)
        assert stacks() == {}
    for made in resources.values():
        assert made == resources["prod"]
    assert "TrainStateMachine" in resources["prod"]


def test_each_stack_has_names_and_a_prefix_of_its_own() -> None:
    """Two stacks of one Environment would have the same names; `sam delete` removes everything under the prefix."""
    stacks = {name: settings["global"]["parameters"]["stack_name"] for name, settings in SAMCONFIG.items()}
    environments = {stacks[name]: parameters(name)["Environment"] for name in SAMCONFIG}
    prefixes = {stacks[name]: settings["deploy"]["parameters"]["s3_prefix"] for name, settings in SAMCONFIG.items()}
    assert len(set(environments.values())) == len(set(prefixes.values())) == len(environments)
    assert stacks["default"] == stacks["dev"]
    assert parameters("default") == parameters("dev")


def test_a_stacks_life(empty_region: EmptyRegion, tmp_path: Path) -> None:
    """Nothing but Enter deploys a stack, which is updated, kept as it was by an update that fails, and deleted."""
    config = tmp_path / "samconfig.toml"
    shutil.copy(ROOT / "samconfig.toml", config)
    where = ["--config-file", str(config), "--template-file", str(empty_region.build / "template.yaml")]
    printed = sam("deploy", "--guided", *where, answers="\n" * 100)
    assert "Successfully created/updated stack - visitcast-dev" in printed
    stack = SAMCONFIG["default"]["global"]["parameters"]["stack_name"]
    assert stacks() == {stack: "CREATE_COMPLETE"}
    outputs = stack_outputs(stack)
    first = parameters("default")
    deployed = settings(stack)
    assert deployed["days"] == int(first["LogRetentionDays"])

    second = first | {"LogRetentionDays": "90", "ScheduleExpression": "rate(7 days)"}
    # What the guide has saved asks nothing more.
    sam("deploy", *where, "--parameter-overrides", *(f'{name}="{value}"' for name, value in second.items()))
    assert settings(stack) == {"days": 90, "schedule": "rate(7 days)"}

    # The pattern lets it pass; EventBridge Scheduler does not.
    third = second | {"LogRetentionDays": "180", "ScheduleExpression": "cron(at three)"}
    printed = sam_deploy(empty_region.build, "default", third, succeeds=False)
    assert "UPDATE_ROLLBACK_COMPLETE" in printed
    assert "Invalid Schedule Expression cron(at three)" in failures(stack)["TrainStateMachineSchedule"]
    assert settings(stack) == {"days": 90, "schedule": "rate(7 days)"}
    assert stack_outputs(stack) == outputs

    sam("delete", "--stack-name", stack, "--region", os.environ["AWS_REGION"], "--no-prompts")
    assert stacks() == {}


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
def test_wrong_choices_are_refused_in_the_terminal(
    empty_region: EmptyRegion, choices: dict[str, str], remedy: str
) -> None:
    printed = sam_deploy(empty_region.build, "local", parameters("local") | choices, succeeds=False)
    assert remedy in printed
    assert "visitcast-local" not in stacks()
