"""A deployed stack that can forecast: an existing one, or one that the demo creates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError

from demo import stack
from demo.errors import DemoError
from demo.events import read_events
from demo.other_events import refuse_other_events
from demo.run import Options, run_demo
from demo.upload import held_events, partition_files, replace_events

if TYPE_CHECKING:
    from rich.console import Console

    from visitcast.events.mapping import EventsMapping


def ensure_production(options: Options, console: Console) -> dict[str, str]:
    """Return the outputs of the stack in this region; without one, or without a model, run the demo first.

    A model that the gate rejected is enough: the forecast workflow decides whether its baseline may forecast. The
    bucket then holds the events of the options, if there are any.

    Raises
    ------
    DemoError
        The demo did not make a model, or the region holds the events of other users.
    """
    name = options.stack_name or stack.default_name()
    outputs = deployed(name)
    if outputs is not None and _has_version(outputs["ModelPackageGroupName"]):
        if options.events is not None:
            _bring_events(options.events, options.mapping, outputs["BucketName"], console)
        return outputs
    console.print("No model is in production here, so `make demo` runs first.")
    outcome = run_demo(options, console)
    if (outcome.succeeded or outcome.rejected) and (outputs := deployed(name)) is not None:
        return outputs
    raise DemoError(
        "There is no model to forecast with.",
        outcome.failure or "The demo did not succeed.",
        "Fix that, then start again.",
    )


def _bring_events(events: Path, mapping: EventsMapping | None, bucket: str, console: Console) -> None:
    """Bring the bucket's events up to those of a file, which must be of the same users."""
    s3 = boto3.client("s3")
    files = dict(partition_files(read_events(events, mapping)))
    refuse_other_events(s3, bucket, files, events)
    if changed := len(files.keys() - held_events(s3, bucket)):
        console.print(f"{changed:,} dates of {events} are new or changed since the model was trained.", markup=False)
    replace_events(s3, bucket, files, lambda _: None)


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


def _has_version(group: str) -> bool:
    """Return whether a model package group has a version; the workflow says which of them it uses, or why none."""
    pages = boto3.client("sagemaker").get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
    return any(page["ModelPackageSummaryList"] for page in pages)
