"""Models, endpoint configurations, endpoints and batch transform jobs."""

from __future__ import annotations

import json
import threading
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError
from region import IMAGE, ROLE, Region, wait_for

ENDS_AT_ONCE = ["python", "-c", "raise SystemExit(3)"]


def create_model(region: Region, text: str = "first", **container: Any) -> str:
    name = f"model-{uuid.uuid4().hex[:8]}"
    url = region.archive(f"artifacts/{name}/model.tar.gz", {"name.txt": text})
    region.client("sagemaker").create_model(
        ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": IMAGE, "ModelDataUrl": url, **container}
    )
    return name


def create_config(region: Region, text: str = "first", **variant: Any) -> str:
    name = f"config-{uuid.uuid4().hex[:8]}"
    model = create_model(region, text, Environment={"GREETING": "hello"})
    definition = {"VariantName": "AllTraffic", "ModelName": model, "InitialInstanceCount": 1}
    region.client("sagemaker").create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=[{**definition, "InstanceType": "ml.m7i.large", **variant}]
    )
    return name


def create_endpoint(region: Region, config: str) -> str:
    name = f"endpoint-{uuid.uuid4().hex[:8]}"
    region.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=config)
    return name


def settled(region: Region, name: str) -> dict[str, Any]:
    sagemaker = region.client("sagemaker")
    endpoint: dict[str, Any] = wait_for(
        lambda: sagemaker.describe_endpoint(EndpointName=name),
        lambda endpoint: endpoint["EndpointStatus"] not in ("Creating", "Updating"),
    )
    return endpoint


def invoke(region: Region, name: str, body: bytes = b"hi", **options: Any) -> dict[str, Any]:
    answer = region.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=name, Body=body, ContentType="text/csv", **options
    )
    assert answer["ContentType"] == "application/json"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    document: dict[str, Any] = json.loads(answer["Body"].read())
    return document


def delete(region: Region, name: str) -> None:
    region.client("sagemaker").delete_endpoint(EndpointName=name)
    wait_for(lambda: region.processes(name), lambda processes: processes == [])
    wait_for(lambda: list((region.home / "endpoints").glob(f"endpoint-{name}*")), lambda folders: folders == [])


def test_an_endpoint_answers_until_it_is_deleted(region: Region) -> None:
    name = create_endpoint(region, create_config(region))
    endpoint = settled(region, name)
    assert endpoint["EndpointStatus"] == "InService", endpoint
    assert endpoint["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    assert invoke(region, name) == {"body": "hi", "model": "first", "type": "text/csv", "greeting": "hello"}
    assert [process["kind"] for process in region.processes(name)] == ["endpoint"]
    logs = region.client("logs").describe_log_streams(logGroupName=f"/aws/sagemaker/Endpoints/{name}")["logStreams"]
    stream = logs[0]["logStreamName"]
    wait_for(lambda: region.log(f"/aws/sagemaker/Endpoints/{name}", stream), lambda lines: "asked hi" in lines)
    delete(region, name)
    with pytest.raises(ClientError, match=f'Could not find endpoint "arn:aws:sagemaker:.*/{name}"') as caught:
        region.client("sagemaker").describe_endpoint(EndpointName=name)
    assert caught.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.parametrize(("status", "kind"), [(400, "client"), (500, "server")])
def test_a_containers_error_is_a_model_error(region: Region, status: int, kind: str) -> None:
    name = create_endpoint(region, create_config(region))
    settled(region, name)
    with pytest.raises(ClientError, match=rf"Received {kind} error \({status}\).*as ordered") as caught:
        invoke(region, name, f"status {status} please".encode())
    assert caught.value.response["Error"]["Code"] == "ModelError"
    assert caught.value.response["OriginalStatusCode"] == status
    assert json.loads(caught.value.response["OriginalMessage"]) == {"error": "as ordered"}
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 424
    delete(region, name)


def test_descriptions_leave_out_what_was_not_set(region: Region) -> None:
    sagemaker = region.client("sagemaker")
    config = create_config(region)
    name = create_endpoint(region, config)
    described = settled(region, name)
    settings = sagemaker.describe_endpoint_config(EndpointConfigName=config)
    model = sagemaker.describe_model(ModelName=settings["ProductionVariants"][0]["ModelName"])
    delete(region, name)
    for answer in (described, settings, model):
        assert not [member for member, value in answer.items() if value == {}]


def test_unknown_endpoint(region: Region) -> None:
    with pytest.raises(ClientError, match="Endpoint nowhere of account 123456789012 not found") as caught:
        invoke(region, "nowhere")
    assert caught.value.response["Error"]["Code"] == "ValidationError"


def test_an_update_answers_all_the_while(region: Region) -> None:
    first, second = create_config(region, "first"), create_config(region, "second")
    name = create_endpoint(region, first)
    settled(region, name)
    seen: list[str] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            seen.append(invoke(region, name)["model"])

    asking = threading.Thread(target=ask)
    asking.start()
    wait_for(lambda: len(seen), lambda count: count >= 3)
    sagemaker = region.client("sagemaker")
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=second)
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=second)
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        sagemaker.delete_endpoint(EndpointName=name)
    endpoint = settled(region, name)
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", second)
    wait_for(lambda: seen[-1], lambda model: model == "second")
    done.set()
    asking.join()
    assert seen == sorted(seen), "an answer of the old model after one of the new"
    wait_for(lambda: region.processes(name), lambda processes: len(processes) == 1)
    delete(region, name)


def test_a_failed_update_rolls_back(region: Region) -> None:
    first, second = create_config(region, "first"), create_config(region, "second")
    name = create_endpoint(region, first)
    settled(region, name)
    region.order(image="tester", match="serve", argv=ENDS_AT_ONCE)
    region.client("sagemaker").update_endpoint(EndpointName=name, EndpointConfigName=second)
    endpoint = settled(region, name)
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", first)
    assert "did not pass the ping health check" in endpoint["FailureReason"]
    assert invoke(region, name)["model"] == "first"
    delete(region, name)


@pytest.mark.parametrize(
    "argv",
    [
        pytest.param(ENDS_AT_ONCE, id="ends at once"),
        pytest.param(["python", "-c", "import time; time.sleep(600)"], id="never answers"),
    ],
)
def test_a_failed_creation_can_only_be_deleted(region: Region, argv: list[str]) -> None:
    config = create_config(region)
    region.order(image="tester", argv=argv)
    name = create_endpoint(region, config)
    endpoint = settled(region, name)
    assert endpoint["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check" in endpoint["FailureReason"]
    assert region.processes(name) == []
    with pytest.raises(ClientError, match="status Failed"):
        region.client("sagemaker").update_endpoint(EndpointName=name, EndpointConfigName=config)
    delete(region, name)


def test_requests_are_answered_side_by_side(region: Region) -> None:
    name = create_endpoint(region, create_config(region))
    settled(region, name)
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(invoke(region, name, str(n).encode())["body"]))
        for n in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers, key=int) == [str(n) for n in range(16)]
    delete(region, name)


def test_a_second_variant_is_refused(region: Region) -> None:
    variants = [
        {
            "VariantName": name,
            "ModelName": create_model(region),
            "InitialInstanceCount": 1,
            "InstanceType": "ml.m5.large",
        }
        for name in ("blue", "green")
    ]
    with pytest.raises(ClientError, match="one production variant"):
        region.client("sagemaker").create_endpoint_config(EndpointConfigName="two", ProductionVariants=variants)


def test_what_create_refuses(region: Region) -> None:
    sagemaker = region.client("sagemaker")
    config = create_config(region)
    name = create_endpoint(region, config)
    with pytest.raises(ClientError, match="Cannot create already existing endpoint "):
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    with pytest.raises(ClientError, match='Could not find endpoint configuration "arn'):
        sagemaker.create_endpoint(EndpointName="other", EndpointConfigName="nothing")
    with pytest.raises(ClientError, match="Could not find model data at s3://"):
        create_model(region, ModelDataUrl=f"s3://{region.bucket}/no/model.tar.gz")
    with pytest.raises(ClientError, match=r"Requested image nothing:1 not found"):
        create_model(region, Image="nothing:1")
    with pytest.raises(ClientError, match='Could not find model "arn'):
        create_config(region, ModelName="nothing")
    settled(region, name)
    delete(region, name)


def test_what_exists_is_listed_and_deleted(region: Region) -> None:
    sagemaker = region.client("sagemaker")
    config = create_config(region)
    model = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"][0]["ModelName"]
    assert sagemaker.describe_model(ModelName=model)["PrimaryContainer"]["Environment"] == {"GREETING": "hello"}
    assert config in [entry["EndpointConfigName"] for entry in sagemaker.list_endpoint_configs()["EndpointConfigs"]]
    sagemaker.delete_endpoint_config(EndpointConfigName=config)
    sagemaker.delete_model(ModelName=model)
    for call, arguments in (
        (sagemaker.describe_model, {"ModelName": model}),
        (sagemaker.describe_endpoint_config, {"EndpointConfigName": config}),
        (sagemaker.delete_endpoint_config, {"EndpointConfigName": config}),
    ):
        with pytest.raises(ClientError, match="Could not find"):
            call(**arguments)


def transform(region: Region, **options: Any) -> dict[str, Any]:
    name = f"transform-{uuid.uuid4().hex[:8]}"
    sagemaker = region.client("sagemaker")
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{region.bucket}/transform-in/"}}
    definition: dict[str, Any] = {
        "TransformJobName": name,
        "ModelName": create_model(region),
        "TransformInput": {"DataSource": source, "ContentType": "text/csv", "SplitType": "Line"},
        "TransformOutput": {"S3OutputPath": f"s3://{region.bucket}/transform-out/{name}", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        "BatchStrategy": "SingleRecord",
    }
    sagemaker.create_transform_job(**{**definition, **options})
    job: dict[str, Any] = wait_for(
        lambda: sagemaker.describe_transform_job(TransformJobName=name),
        lambda job: job["TransformJobStatus"] in ("Completed", "Failed", "Stopped"),
    )
    return job


def test_batch_transform_sends_every_line_through_the_model(region: Region) -> None:
    region.put("transform-in/deep/a.csv", "1\n2\n3\n")
    job = transform(region, MaxConcurrentTransforms=2)
    assert job["TransformJobStatus"] == "Completed", job
    lines = region.get(f"{job['TransformOutput']['S3OutputPath']}/deep/a.csv.out").splitlines()
    assert [json.loads(line)["body"] for line in lines] == ["1\n", "2\n", "3\n"]
    assert region.processes(job["TransformJobName"]) == []


def test_batch_transform_shares_its_files_among_instances(region: Region) -> None:
    bodies = {"a": "1\n2\n", "b": "3\n", "c": "4\n"}
    for name, body in bodies.items():
        region.put(f"transform-in/deep/{name}.csv", body)
    job = transform(region, TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 2})
    assert job["TransformJobStatus"] == "Completed", job
    for name, body in bodies.items():
        lines = region.get(f"{job['TransformOutput']['S3OutputPath']}/deep/{name}.csv.out").splitlines()
        assert "".join(json.loads(line)["body"] for line in lines) == body
    streams = region.client("logs").describe_log_streams(
        logGroupName="/aws/sagemaker/TransformJobs", logStreamNamePrefix=job["TransformJobName"]
    )["logStreams"]
    assert [stream["logStreamName"].rpartition("/")[2] for stream in streams] == ["algo-1", "algo-2"]
    assert region.processes(job["TransformJobName"]) == []


def test_batch_transform_fails_with_the_containers_answer(region: Region) -> None:
    region.put("transform-in/deep/a.csv", "status 500 x\n")
    job = transform(region)
    assert job["TransformJobStatus"] == "Failed"
    assert "Bad HTTP status received from algorithm: 500" in job["FailureReason"]
