"""Training jobs: the input of the container, its results, and how it ends."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError
from region import IMAGE, ROLE, Region, wait_for

WAITS = "import time; print('waiting'); time.sleep(600)"
GROUP = "/aws/sagemaker/TrainingJobs"


def start(region: Region, code: str, name: str | None = None, **request: Any) -> str:
    name = name or f"train-{uuid.uuid4().hex[:8]}"
    definition: dict[str, Any] = {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "HyperParameters": {"code": json.dumps(code)},  # a value has one line
        "OutputDataConfig": {"S3OutputPath": f"s3://{region.bucket}/models"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    region.client("sagemaker").create_training_job(**{**definition, **request})
    return name


def describe(region: Region, name: str) -> dict[str, Any]:
    described: dict[str, Any] = region.client("sagemaker").describe_training_job(TrainingJobName=name)
    return described


def end_of(region: Region, name: str) -> dict[str, Any]:
    def has_ended(job: dict[str, Any]) -> bool:
        return job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped")

    ended: dict[str, Any] = wait_for(lambda: describe(region, name), has_ended)
    return ended


def channel(name: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "ContentType": "text/csv"}


def test_container_finds_its_input_and_its_model_is_kept(region: Region) -> None:
    region.put("data/a.csv", "1")
    region.put("data/deep/b.csv", "2")
    code = """
files = {str(path.relative_to(ml)): path.read_text() for path in sorted((ml / "input").rglob("*")) if path.is_file()}
(ml / "model" / "seen.json").write_text(json.dumps({"files": files, "env": dict(os.environ), "cwd": os.getcwd()}))
(ml / "output" / "data" / "curve.csv").write_text("epoch,loss")
"""
    data = [channel("dataset", f"s3://{region.bucket}/data/")]
    name = start(region, code, InputDataConfig=data, Environment={"ANSWER": " 42 /opt/ml "})
    job = end_of(region, name)
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Completed", job
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{region.bucket}/models/{name}/output/model.tar.gz"
    seen = json.loads(region.members(job["ModelArtifacts"]["S3ModelArtifacts"])["seen.json"])
    assert seen["files"]["input/data/dataset/a.csv"] == "1"
    assert seen["files"]["input/data/dataset/deep/b.csv"] == "2"
    assert json.loads(seen["files"]["input/config/hyperparameters.json"]) == {"code": json.dumps(code)}
    assert json.loads(seen["files"]["input/config/inputdataconfig.json"])["dataset"]["ContentType"] == "text/csv"
    assert json.loads(seen["files"]["input/config/resourceconfig.json"])["hosts"] == ["algo-1"]
    assert seen["env"]["ANSWER"] == " 42 /opt/ml "
    assert seen["env"]["AWS_ENDPOINT_URL"] == region.url
    assert seen["cwd"] == seen["env"]["OPT_ML_DIR"]
    assert region.members(f"s3://{region.bucket}/models/{name}/output/output.tar.gz") == {"curve.csv": "epoch,loss"}
    assert job["Environment"] == {"ANSWER": " 42 /opt/ml "}
    assert job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"]
    stages = [transition["Status"] for transition in job["SecondaryStatusTransitions"]]
    assert stages == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert not (region.home / "jobs" / f"training-{name}").exists()


def test_metrics_are_the_last_match_and_the_log_holds_every_line(region: Region) -> None:
    code = "for n in range(2500): print(f'epoch={n} loss={n / 2} other')\nprint('the end', end='')"
    specification = {
        "TrainingImage": IMAGE,
        "TrainingInputMode": "File",
        "MetricDefinitions": [
            {"Name": "loss", "Regex": r"loss=(\S+)"},
            {"Name": "absent", "Regex": r"absent=(\S+)"},
        ],
    }
    name = start(region, code, AlgorithmSpecification=specification)
    job = end_of(region, name)
    assert [(metric["MetricName"], metric["Value"]) for metric in job["FinalMetricDataList"]] == [("loss", 1249.5)]
    lines = region.log(GROUP, f"{name}/algo-1")
    assert lines == [*(f"epoch={n} loss={n / 2} other" for n in range(2500)), "the end"]


def test_log_can_be_read_while_the_job_runs(region: Region) -> None:
    name = start(region, WAITS)
    wait_for(lambda: region.log(GROUP, f"{name}/algo-1"), lambda lines: lines == ["waiting"])
    assert describe(region, name)["TrainingJobStatus"] == "InProgress"
    region.client("sagemaker").stop_training_job(TrainingJobName=name)
    assert end_of(region, name)["TrainingJobStatus"] == "Stopped"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        pytest.param(
            "(ml / 'output/failure').write_text('Column x is missing'); sys.exit(3)",
            "AlgorithmError: Column x is missing, exit code: 3",
            id="with a reason",
        ),
        pytest.param("sys.exit(1)", "AlgorithmError: , exit code: 1", id="without"),
        pytest.param("os.kill(os.getpid(), 9)", "AlgorithmError: , exit code: 137", id="killed"),
    ],
)
def test_failure_reason_holds_what_the_container_wrote_and_its_exit_code(
    region: Region, code: str, reason: str
) -> None:
    name = start(region, code)
    job = end_of(region, name)
    assert (job["TrainingJobStatus"], job["FailureReason"]) == ("Failed", reason)
    assert region.keys(f"models/{name}/") == []


def test_a_job_that_writes_no_model_completes_with_an_empty_archive(region: Region) -> None:
    job = end_of(region, start(region, "pass"))
    assert job["TrainingJobStatus"] == "Completed"
    assert region.members(job["ModelArtifacts"]["S3ModelArtifacts"]) == {}


def test_missing_input_fails_the_job(region: Region) -> None:
    uri = f"s3://{region.bucket}/no/such/prefix/"
    job = end_of(region, start(region, "pass", InputDataConfig=[channel("dataset", uri)]))
    assert job["TrainingJobStatus"] == "Failed"
    assert f'No S3 objects found under S3 URL "{uri}"' in job["FailureReason"]


def test_stop_lets_the_container_save_its_model(region: Region) -> None:
    code = """
import signal, time
def save(*_):
    (ml / "model" / "saved.txt").write_text("half way")
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
print("ready")
time.sleep(600)
"""
    name = start(region, code)
    wait_for(lambda: region.log(GROUP, f"{name}/algo-1"), lambda lines: "ready" in lines)
    sagemaker = region.client("sagemaker")
    sagemaker.stop_training_job(TrainingJobName=name)
    assert describe(region, name)["TrainingJobStatus"] in ("Stopping", "Stopped")
    job = end_of(region, name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert region.members(job["ModelArtifacts"]["S3ModelArtifacts"]) == {"saved.txt": "half way"}
    with pytest.raises(ClientError, match="is in status Stopped"):
        sagemaker.stop_training_job(TrainingJobName=name)


def test_longest_run_time_stops_the_job(region: Region) -> None:
    job = end_of(region, start(region, WAITS, StoppingCondition={"MaxRuntimeInSeconds": 1}))
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_checkpoints_go_to_s3_and_come_back(region: Region) -> None:
    uri = f"s3://{region.bucket}/checkpoints/{uuid.uuid4().hex}"
    code = """
path = ml / "checkpoints" / "epoch.txt"
epoch = int(path.read_text()) + 1 if path.exists() else 1
path.write_text(str(epoch))
sys.exit(1 if epoch == 1 else 0)
"""
    first = end_of(region, start(region, code, CheckpointConfig={"S3Uri": uri}))
    assert first["TrainingJobStatus"] == "Failed"
    assert region.get(f"{uri}/epoch.txt") == b"1"
    second = end_of(region, start(region, code, CheckpointConfig={"S3Uri": uri}))
    assert second["TrainingJobStatus"] == "Completed"
    assert region.get(f"{uri}/epoch.txt") == b"2"


SPOT = {
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 1200},
}


def test_a_spot_interruption_starts_the_job_again_with_its_checkpoints(region: Region) -> None:
    code = """
import signal, time
checkpoint, model = ml / "checkpoints" / "epoch.txt", ml / "model" / "epochs.txt"
signal.signal(signal.SIGTERM, lambda *_: (print("told to stop"), sys.exit(143)))
first = int(checkpoint.read_text()) + 1 if checkpoint.exists() else 1
for epoch in range(first, 4):
    checkpoint.write_text(str(epoch))
    model.write_text(f"{model.read_text() if model.exists() else ''}{epoch} ")
    print(f"epoch={epoch} loss=0.{epoch}")
    if epoch == 2 and first == 1:
        time.sleep(600)
"""
    uri = f"s3://{region.bucket}/checkpoints/{uuid.uuid4().hex}"
    region.order(interrupt="epoch=2 ", match="interrupted-")
    name = start(region, code, f"interrupted-{uuid.uuid4().hex[:8]}", CheckpointConfig={"S3Uri": uri}, **SPOT)
    job = end_of(region, name)
    assert job["TrainingJobStatus"] == "Completed", job
    once = ["Starting", "Downloading", "Training"]
    stages = [transition["Status"] for transition in job["SecondaryStatusTransitions"]]
    assert stages == [*once, "Interrupted", *once, "Uploading", "Completed"]
    # The new instance finds the checkpoints only, so the model has what it wrote itself.
    assert region.members(job["ModelArtifacts"]["S3ModelArtifacts"]) == {"epochs.txt": "3 "}
    lines = [line.split()[0] for line in region.log(GROUP, f"{name}/algo-1")]
    assert lines == ["epoch=1", "epoch=2", "told", "epoch=3"]
    assert job["BillableTimeInSeconds"] <= job["TrainingTimeInSeconds"]


def test_jobs_on_instances_of_their_own_are_not_interrupted(region: Region) -> None:
    region.order(interrupt="epoch=1", match="not-spot-")
    job = end_of(region, start(region, "print('epoch=1')", f"not-spot-{uuid.uuid4().hex[:8]}"))
    region.lift()
    assert "Interrupted" not in [transition["Status"] for transition in job["SecondaryStatusTransitions"]]
    assert job["BillableTimeInSeconds"] == job["TrainingTimeInSeconds"]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        pytest.param(
            {"EnableManagedSpotTraining": True, "StoppingCondition": {"MaxRuntimeInSeconds": 600}},
            "MaxWaitTimeInSeconds",
            id="spot without a longest wait",
        ),
        pytest.param({"StoppingCondition": SPOT["StoppingCondition"]}, "MaxWaitTimeInSeconds", id="wait without spot"),
        pytest.param(
            {"VpcConfig": {"Subnets": ["subnet-0a1b2c3d"], "SecurityGroupIds": ["default"]}},
            "SecurityGroupIds: 'default' does not exist",
            id="name of a security group",
        ),
        pytest.param(
            {"VpcConfig": {"Subnets": ["subnet-0a1b2c3d"] * 17, "SecurityGroupIds": ["sg-0a1b2c3d"]}},
            "at 'vpcConfig.subnets' failed to satisfy constraint: Member must have length less than or equal to 16",
            id="too many subnets",
        ),
        pytest.param(
            {
                "InputDataConfig": [
                    {
                        "ChannelName": "dataset",
                        "DataSource": {"S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": "s3://b/manifest"}},
                    }
                ]
            },
            "S3DataType S3Prefix only",
            id="manifest",
        ),
        pytest.param(
            {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}},
            "trains on one instance",
            id="two instances",
        ),
        pytest.param(
            {"OutputDataConfig": {"S3OutputPath": "s3://b/models", "CompressionType": "NONE"}},
            "model.tar.gz only",
            id="model without compression",
        ),
    ],
)
def test_what_create_refuses(region: Region, request_: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message):
        start(region, "", **request_)


def test_subnets_are_kept(region: Region) -> None:
    vpc = {"Subnets": ["subnet-0a1b2c3d", "subnet-4e5f6a7b"], "SecurityGroupIds": ["sg-0a1b2c3d"]}
    assert end_of(region, start(region, "", VpcConfig=vpc))["VpcConfig"] == vpc


def test_a_fault_takes_the_containers_place_once(region: Region) -> None:
    region.order(image="tester", match="fold-2", argv=["python", "-c", "raise SystemExit(5)"])
    names = {fold: start(region, "pass", f"fold-{fold}-{uuid.uuid4().hex[:6]}") for fold in (1, 2)}
    assert end_of(region, names[1])["TrainingJobStatus"] == "Completed"
    assert end_of(region, names[2])["FailureReason"] == "AlgorithmError: , exit code: 5"
    again = start(region, "pass", f"fold-2-{uuid.uuid4().hex[:6]}")
    assert end_of(region, again)["TrainingJobStatus"] == "Completed"


def test_a_name_is_used_once(region: Region) -> None:
    name = start(region, "pass")
    with pytest.raises(ClientError, match="already exists") as caught:
        start(region, "pass", name)
    assert caught.value.response["Error"]["Code"] == "ResourceInUse"
    assert end_of(region, name)["TrainingJobStatus"] == "Completed"


@pytest.mark.parametrize("name", ["under_score", "-dash", "dash-", "a" * 64, "dot.ted"])
def test_names_that_sagemaker_refuses(region: Region, name: str) -> None:
    with pytest.raises(ClientError, match="failed to satisfy constraint") as caught:
        start(region, "pass", name)
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_an_unknown_image_is_refused(region: Region) -> None:
    with pytest.raises(ClientError, match=r"not found\. Images of this region: tester"):
        start(region, "pass", AlgorithmSpecification={"TrainingImage": "a/nothing:1", "TrainingInputMode": "File"})


def test_unknown_job(region: Region) -> None:
    with pytest.raises(ClientError, match=r"Requested resource not found\.") as caught:
        describe(region, "no-such-job")
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_jobs_are_listed_newest_first_and_tags_can_be_added(region: Region) -> None:
    prefix = f"list-{uuid.uuid4().hex[:6]}"
    names = [start(region, "pass", f"{prefix}-{number}") for number in range(3)]
    arn = end_of(region, names[2])["TrainingJobArn"]
    sagemaker = region.client("sagemaker")
    first = sagemaker.list_training_jobs(NameContains=prefix, MaxResults=2)
    second = sagemaker.list_training_jobs(NameContains=prefix, MaxResults=2, NextToken=first["NextToken"])
    listed = [job["TrainingJobName"] for page in (first, second) for job in page["TrainingJobSummaries"]]
    assert listed == names[::-1]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "run", "Value": "7"}])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "run", "Value": "7"}]
