"""The stack that the console shows: its outputs and the clients that read it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

WORKFLOWS = {"train": "Training", "forecast": "Forecast"}
"""Workflows by the name of their files, with the word that pages use."""
_TIMES = Config(connect_timeout=5, read_timeout=60, retries={"max_attempts": 4, "mode": "standard"})


class NotDeployedError(LookupError):
    """The stack is not there."""


@dataclass(frozen=True)
class Stack:
    """A deployed stack.

    Attributes
    ----------
    name : str
    outputs : dict of str
        By their keys in template.yaml.
    region : str
    account : str
        Its account id.
    """

    name: str
    outputs: dict[str, str]
    region: str
    account: str

    @property
    def bucket(self) -> str:
        """Return the bucket's name."""
        return self.outputs["BucketName"]

    @property
    def database(self) -> str:
        """Return the name of the Glue database."""
        return self.outputs["DatabaseName"]

    @property
    def group(self) -> str:
        """Return the name of the model package group."""
        return self.outputs["ModelPackageGroupName"]

    def machine(self, workflow: str) -> str:
        """Return the ARN of the state machine of a workflow, ``train`` or ``forecast``."""
        return self.outputs[{"train": "TrainStateMachineArn", "forecast": "ForecastStateMachineArn"}[workflow]]

    def to_start(self, workflow: str) -> str:
        """Return what to start a workflow by: its alias, where it has one."""
        return self.outputs.get("TrainStateMachineAliasArn" if workflow == "train" else "", self.machine(workflow))

    def execution(self, workflow: str, name: str) -> str:
        """Return the ARN of an execution."""
        return f"{self.machine(workflow).replace(':stateMachine:', ':execution:')}:{name}"


@cache
def client(service: str) -> Any:
    """Return the client of a service, the same one for all threads, by the usual settings of boto3."""
    return boto3.client(service, config=_TIMES)  # type: ignore[call-overload]


def find_stack(name: str) -> Stack:
    """Read the outputs of a stack.

    Raises
    ------
    NotDeployedError
        There is no such stack, or it is not one of visitcast.
    """
    try:
        found = client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
        raise NotDeployedError(f"There is no stack {name} in this region.") from error
    outputs = {item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])}
    missing = {"BucketName", "DatabaseName", "TrainStateMachineArn", "ForecastStateMachineArn"} - outputs.keys()
    if missing:
        raise NotDeployedError(f"The stack {name} lacks the outputs {', '.join(sorted(missing))}.")
    region, account = found["StackId"].split(":")[3:5]
    return Stack(name, outputs, region, account)
