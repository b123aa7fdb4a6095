"""State machines of one or two states for tests of the region's Step Functions, and what they call."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from localaws_region import ROLE, Region, serving

IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/job:latest"


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


@contextmanager
def region_with_data(home: Path) -> Iterator[Region]:
    """A region with the bucket ``data`` and the function ``ask``, which does what its event says."""
    with serving(home) as region:
        region.client("s3").create_bucket(
            Bucket="data", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        region.create_function("ask", {"app.py": ASK})
        yield region


def machine(state: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A state machine of one state, and those it may go on to."""
    first = {"End": True, **state} if "Next" not in state and state["Type"] not in ("Fail", "Choice") else dict(state)
    return {"StartAt": "First", "States": {"First": first, **more}}


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
    """A processing job that runs a Python text."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::sagemaker:createProcessingJob.sync",
        "Parameters": {
            "ProcessingJobName.$": name,
            "RoleArn": ROLE,
            "AppSpecification": {"ImageUri": IMAGE, "ContainerArguments": [script]},
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
    return str(region.client("sagemaker").describe_processing_job(ProcessingJobName=name)["ProcessingJobStatus"])


def wait_for_job(region: Region, name: str, status: str) -> None:
    """Wait until a job has a status; the test's own time limit ends a wait in vain."""
    while True:
        try:
            if job_status(region, name) == status:
                return
        except region.client("sagemaker").exceptions.ClientError:
            pass
        time.sleep(0.05)
