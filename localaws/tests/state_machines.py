"""Small state machines for the tests of Step Functions, and what they call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError
from region import IMAGE, ROLE, Region, wait_for

ASK = """
import time
class Flaky(Exception):
    pass
def handler(event, context):
    if event.get("raise"):
        raise Flaky(event["raise"])
    if event.get("sleep"):
        time.sleep(event["sleep"])
    return event
"""


def machine(state: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Return a state machine with one state, and others that it may go to."""
    first = {"End": True, **state} if "Next" not in state and state["Type"] not in ("Fail", "Choice") else dict(state)
    return {"StartAt": "First", "States": {"First": first, **more}}


def create_ask(region: Region) -> None:
    """Create the function ``ask``, which does what its event says."""
    region.create_function("ask", {"app.py": ASK})


def ask(event: Any, **options: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": "ask", "Payload": event},
        **options,
    }


def processing(
    script: str, *, name: str = "States.Format('job-{}', $$.Execution.Name)", **options: Any
) -> dict[str, Any]:
    """Return a Task state with a processing job that runs Python code."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::sagemaker:createProcessingJob.sync",
        "Parameters": {
            "ProcessingJobName.$": name,
            "RoleArn": ROLE,
            "AppSpecification": {"ImageUri": IMAGE, "ContainerArguments": ["exec", *script.splitlines()]},
            "ProcessingResources": {
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
            },
        },
        **options,
    }


def output(description: Mapping[str, Any]) -> Any:
    assert description["status"] == "SUCCEEDED", (description.get("error"), description.get("cause"))
    return json.loads(description["output"])


def job_status(region: Region, name: str) -> str:
    """Return the status of a processing job, or an empty text if it does not exist."""
    try:
        job = region.client("sagemaker").describe_processing_job(ProcessingJobName=name)
    except ClientError:
        return ""
    return str(job["ProcessingJobStatus"])


def wait_for_job(region: Region, name: str, status: str) -> None:
    wait_for(lambda: job_status(region, name), lambda seen: seen == status)
