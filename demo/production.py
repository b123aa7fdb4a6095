"""A deployed stack with a model in production: an existing one, or one that the demo creates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError

from demo import stack
from demo.errors import DemoError
from demo.run import Options, run_demo

if TYPE_CHECKING:
    from rich.console import Console


def ensure_production(options: Options, console: Console) -> dict[str, str]:
    """Return the outputs of the stack in this region; without one, or without an approved model, run the demo first.

    Raises
    ------
    DemoError
        The demo did not bring a model into production.
    """
    name = options.stack_name or stack.default_name()
    outputs = deployed(name)
    if outputs is not None and _has_approved_version(outputs["ModelPackageGroupName"]):
        return outputs
    console.print("No model is in production here, so `make demo` runs first.")
    if run_demo(options, console) == 0 and (outputs := deployed(name)) is not None:
        return outputs
    raise DemoError(
        "There is no model to forecast with.",
        "The demo did not succeed; see its message above.",
        "Fix that, then start again.",
    )


def deployed(name: str) -> dict[str, str] | None:
    """Return the outputs of a stack; None where it is not deployed.

    Raises
    ------
    DemoError
        It is deployed, but without the forecast workflow.
    """
    cloudformation = boto3.client("cloudformation")
    try:
        found = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    outputs = {item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])}
    if "ForecastStateMachineArn" not in outputs:
        raise DemoError(
            f"The stack {name} has no forecast workflow.", f"Its outputs: {', '.join(outputs)}.", "Deploy it again."
        )
    return outputs


def _has_approved_version(group: str) -> bool:
    """Return whether a model package group has a version that the forecast workflow can use."""
    pages = boto3.client("sagemaker").get_paginator("list_model_packages")
    found = pages.paginate(ModelPackageGroupName=group, ModelApprovalStatus="Approved")
    return any(page["ModelPackageSummaryList"] for page in found)
