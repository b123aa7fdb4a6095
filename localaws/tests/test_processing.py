"""Processing jobs: inputs, outputs, arguments and messages."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError
from region import IMAGE, ROLE, Region, wait_for

GROUP = "/aws/sagemaker/ProcessingJobs"


def start(region: Region, *arguments: str, **request: Any) -> str:
    name = f"process-{uuid.uuid4().hex[:8]}"
    definition: dict[str, Any] = {
        "ProcessingJobName": name,
        "RoleArn": ROLE,
        "AppSpecification": {"ImageUri": IMAGE, "ContainerArguments": list(arguments)},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
        },
    }
    region.client("sagemaker").create_processing_job(**{**definition, **request})
    return name


def end_of(region: Region, name: str) -> dict[str, Any]:
    sagemaker = region.client("sagemaker")
    job: dict[str, Any] = wait_for(
        lambda: sagemaker.describe_processing_job(ProcessingJobName=name),
        lambda job: job["ProcessingJobStatus"] in ("Completed", "Failed", "Stopped"),
    )
    return job


def input_of(uri: str, path: str = "/opt/ml/processing/input/data") -> dict[str, Any]:
    return {
        "InputName": "data",
        "S3Input": {"S3Uri": uri, "LocalPath": path, "S3DataType": "S3Prefix", "S3InputMode": "File"},
    }


def output_to(uri: str, mode: str = "EndOfJob") -> dict[str, Any]:
    path = "/opt/ml/processing/output/data"
    return {"Outputs": [{"OutputName": "data", "S3Output": {"S3Uri": uri, "LocalPath": path, "S3UploadMode": mode}}]}


COPY = """
source, target = ml / "processing/input/data", ml / "processing/output/data"
for path in source.rglob("*"):
    if path.is_file():
        (target / path.name).write_text(path.read_text().upper())
(target / "arguments").write_text(json.dumps(arguments))
(target / "config").write_text((ml / "config/processingjobconfig.json").read_text())
"""


def test_inputs_arrive_and_outputs_leave(region: Region) -> None:
    region.put("processing-in/a.csv", "abc")
    uri = f"s3://{region.bucket}/processing-out/{uuid.uuid4().hex}"
    name = start(
        region,
        *["exec", *COPY.splitlines(), "--", "--limit", "1 and 2"],
        ProcessingInputs=[input_of(f"s3://{region.bucket}/processing-in")],
        ProcessingOutputConfig=output_to(uri),
        Environment={"AS_OF": "2026-01-01"},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    job = end_of(region, name)
    assert job["ProcessingJobStatus"] == "Completed", job
    assert region.get(f"{uri}/a.csv") == b"ABC"
    assert json.loads(region.get(f"{uri}/arguments")) == ["--limit", "1 and 2"]
    assert json.loads(region.get(f"{uri}/config"))["ProcessingJobName"] == name
    assert job["Environment"] == {"AS_OF": "2026-01-01"}
    assert job["ProcessingResources"]["ClusterConfig"]["InstanceCount"] == 1
    assert job["ProcessingStartTime"] <= job["ProcessingEndTime"]
    assert not (region.home / "jobs" / f"processing-{name}").exists()


def test_several_instances_share_the_keys_and_write_to_one_prefix(region: Region) -> None:
    for number in range(5):
        region.put(f"sharded/bucket={number}/rows", str(number))
    uri = f"s3://{region.bucket}/processing-out/{uuid.uuid4().hex}"
    code = """
config = json.loads((ml / "config/resourceconfig.json").read_text())
files = sorted((ml / "processing/input/data").rglob("rows"))
text = " ".join(path.parent.name + ":" + path.read_text() for path in files)
(ml / "processing/output/data" / config["current_host"]).write_text(f"{text} of {','.join(config['hosts'])}")
"""
    source = input_of(f"s3://{region.bucket}/sharded/")
    source["S3Input"]["S3DataDistributionType"] = "ShardedByS3Key"
    cluster = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}
    name = start(
        region,
        *["exec", *code.splitlines()],
        ProcessingInputs=[source],
        ProcessingOutputConfig=output_to(uri),
        ProcessingResources={"ClusterConfig": cluster},
    )
    assert end_of(region, name)["ProcessingJobStatus"] == "Completed"
    assert region.get(f"{uri}/algo-1") == b"bucket=0:0 bucket=2:2 bucket=4:4 of algo-1,algo-2"
    assert region.get(f"{uri}/algo-2") == b"bucket=1:1 bucket=3:3 of algo-1,algo-2"


def test_a_prefix_may_end_within_a_name(region: Region) -> None:
    prefix = f"dataset-{uuid.uuid4().hex}"
    for name in ("part-1.json", "part-2.json", "shard-1.npz"):
        region.put(f"{prefix}/{name}", name)
    code = "print(sorted(path.name for path in (ml / 'processing/input/data').iterdir()))"
    source = input_of(f"s3://{region.bucket}/{prefix}/part-")
    name = start(region, "exec", *code.splitlines(), ProcessingInputs=[source])
    assert end_of(region, name)["ProcessingJobStatus"] == "Completed"
    assert region.log(GROUP, f"{name}/algo-1") == ["['part-1.json', 'part-2.json']"]


def test_a_single_object_keeps_its_name(region: Region) -> None:
    uri = region.put("models/one/model.tar.gz", "archive")
    code = "assert (ml / 'processing/input/data/model.tar.gz').read_text() == 'archive'"
    job = end_of(region, start(region, "exec", *code.splitlines(), ProcessingInputs=[input_of(uri)]))
    assert job["ProcessingJobStatus"] == "Completed", job


def test_message_becomes_the_exit_message_and_nothing_is_uploaded(region: Region) -> None:
    uri = f"s3://{region.bucket}/processing-out/{uuid.uuid4().hex}"
    code = """
(ml / "processing/output/data/half").write_text("half")
(ml / "output/message").write_text("x" * 2000)
sys.exit("traceback")
"""
    name = start(region, "exec", *code.splitlines(), ProcessingOutputConfig=output_to(uri))
    job = end_of(region, name)
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["ExitMessage"] == "x" * 1024
    assert job["FailureReason"].startswith("AlgorithmError")
    assert region.keys(uri.removeprefix(f"s3://{region.bucket}/")) == []
    assert region.log(GROUP, f"{name}/algo-1") == ["traceback"]


def test_continuous_outputs_leave_while_the_job_runs(region: Region) -> None:
    uri = f"s3://{region.bucket}/processing-out/{uuid.uuid4().hex}"
    code = "import time; (ml / 'processing/output/data/early').write_text('1'); time.sleep(600)"
    name = start(region, "exec", *code.splitlines(), ProcessingOutputConfig=output_to(uri, "Continuous"))
    wait_for(lambda: region.keys(uri.removeprefix(f"s3://{region.bucket}/")), bool)
    region.client("sagemaker").stop_processing_job(ProcessingJobName=name)
    assert end_of(region, name)["ProcessingJobStatus"] == "Stopped"


def test_container_entrypoint_replaces_the_command(region: Region) -> None:
    name = start(
        region,
        AppSpecification={
            "ImageUri": IMAGE,
            "ContainerEntrypoint": ["python", "-c", "import sys; print(sys.argv[1:])"],
            "ContainerArguments": ["a", "b"],
        },
    )
    assert end_of(region, name)["ProcessingJobStatus"] == "Completed"
    assert region.log(GROUP, f"{name}/algo-1") == ["['a', 'b']"]


def test_missing_input_fails_the_job(region: Region) -> None:
    uri = f"s3://{region.bucket}/nothing/here"
    job = end_of(region, start(region, "exec", "pass", ProcessingInputs=[input_of(uri)]))
    assert f'No S3 objects found under S3 URL "{uri}"' in job["FailureReason"]


@pytest.mark.parametrize("path", ["/tmp/data", "/opt/ml/processing/../../secret", "/opt/ml/input/data"])
def test_paths_outside_are_refused(region: Region, path: str) -> None:
    with pytest.raises(ClientError, match="LocalPath"):
        start(region, "exec", "pass", ProcessingInputs=[input_of(f"s3://{region.bucket}/x", path)])


def test_killed_container(region: Region) -> None:
    region.order(image="tester", argv=["python", "-c", "import os; os.kill(os.getpid(), 9)"])
    job = end_of(region, start(region, "exec", "pass"))
    assert (job["ProcessingJobStatus"], job["ExitMessage"]) == ("Failed", "exit code: 137")
