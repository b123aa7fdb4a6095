"""Samples of others' workflows with SageMaker and Athena deploy and run; what is not supported is refused by name.

They are written anew after the descriptions of public samples, as far from the application of this repository as those.
"""

from __future__ import annotations

import io
import json
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from region import IMAGE, Region, wait_for
from stacks import outputs, reasons

SAMPLES = Path(__file__).with_name("samples")
MODEL = "(ml / 'model/name.txt').write_text((ml / 'input/data/train/data.csv').read_text().strip())"
DISTANCE = "(ml / 'model/name.txt').write_text('m'); print('distance=' + str(abs(float(hyperparameters['x']) - 3)))"


def quoted(code: str) -> str:
    """Return code as a hyperparameter, which is JSON, within the JSON of a definition: substitutions are plain text."""
    return json.dumps(json.dumps(code))[1:-1]


def deploy(region: Region, sample: str, **values: str) -> dict[str, str]:
    """Create the stack of a sample; return its outputs."""
    name = f"{sample.replace('_', '-')}-{uuid.uuid4().hex[:6]}"
    client = region.client("cloudformation")
    client.create_stack(
        StackName=name,
        TemplateBody=(SAMPLES / f"{sample}.yaml").read_text(encoding="utf-8"),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    stack = client.describe_stacks(StackName=name)["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE", reasons(region, name)
    return outputs(stack)


def run(region: Region, machine: str, **execution_input: str) -> dict[str, Any]:
    """Run an execution to its end; return its output."""
    started = region.client("stepfunctions").start_execution(
        stateMachineArn=machine, name=f"run{uuid.uuid4().hex[:8]}", input=json.dumps(execution_input)
    )["executionArn"]
    ended = region.finished(started)
    assert ended["status"] == "SUCCEEDED", (ended.get("error"), ended.get("cause"))
    output: dict[str, Any] = json.loads(ended["output"])
    return output


def read(region: Region, bucket: str, prefix: str) -> dict[str, bytes]:
    s3 = region.client("s3")
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    return {entry["Key"]: s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read() for entry in listed}


@pytest.fixture
def table(region: Region) -> dict[str, str]:
    """A table with the rows 1 to 3."""
    content, name = io.BytesIO(), f"t{uuid.uuid4().hex[:8]}"
    pq.write_table(pa.table({"n": pa.array([1, 2, 3], pa.int32())}), content)
    region.put(f"{name}/rows.parquet", content.getvalue())
    glue = region.client("glue")
    glue.create_database(DatabaseInput={"Name": f"d{name}"})
    storage = {
        "Location": f"s3://{region.bucket}/{name}/",
        "Columns": [{"Name": "n", "Type": "int"}],
        "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
    }
    glue.create_table(DatabaseName=f"d{name}", TableInput={"Name": name, "StorageDescriptor": storage})
    return {"Database": f"d{name}", "Table": name}


def test_train_ml_model(region: Region) -> None:
    stack = deploy(region, "train_ml_model", Image=IMAGE, Code=quoted(MODEL))
    output = run(region, stack["Machine"])
    assert output["TransformJobStatus"] == "Completed"
    (answers,) = read(region, stack["Bucket"], "output/").values()
    assert b'"model": "1,2\\n3,4"' in answers


def test_tune_ml_model(region: Region) -> None:
    stack = deploy(region, "tune_ml_model", Image=IMAGE, Code=quoted(DISTANCE))
    output = run(region, stack["Machine"])
    assert output["tuning"]["TrainingJobStatusCounters"]["Completed"] == 2
    assert 0 <= float(output["best"]["x"]) <= 10
    assert "model/" in output["model"]["ModelArn"]


def test_process_and_deploy(region: Region) -> None:
    stack = deploy(region, "process_and_deploy", Image=IMAGE, Code=quoted(MODEL))
    endpoint = run(region, stack["Machine"])["EndpointArn"].rpartition("/")[2]
    sagemaker = region.client("sagemaker")
    wait_for(
        lambda: sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointStatus"],
        lambda status: status != "Creating",
    )
    answer = region.client("sagemaker-runtime").invoke_endpoint(EndpointName=endpoint, Body=b"7")
    assert json.loads(answer["Body"].read())["model"] == "1,2"
    sagemaker.delete_endpoint(EndpointName=endpoint)


def test_athena_results(region: Region, table: dict[str, str]) -> None:
    stack = deploy(region, "athena_results")
    assert run(region, stack["Machine"], Workgroup="primary", **table) == {"text": '"n"\n"1"\n"2"\n"3"\n'}


def test_athena_queries(region: Region, table: dict[str, str]) -> None:
    stack = deploy(region, "athena_queries")
    assert run(region, stack["Machine"], **table)["values"] == [{"value": "3"}, {"value": "3"}]


def test_a_resource_type_that_is_not_supported_is_named(region: Region) -> None:
    """As in the sample project that queries large datasets, which starts a crawler."""
    name = f"crawler-{uuid.uuid4().hex[:6]}"
    crawler = {
        "Type": "AWS::Glue::Crawler",
        "Properties": {"Role": "r", "Targets": {"S3Targets": [{"Path": "s3://b"}]}},
    }
    client = region.client("cloudformation")
    with pytest.raises(client.exceptions.ClientError, match="AWS::Glue::Crawler"):
        client.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": {"Crawler": crawler}}))
