"""The Lambda handlers, invoked as deployed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from deployed_stack import STACK_NAME, Stack
from sam_commands import sam

MIB = 1024**2


def start_event(stack: Stack, execution_id: str) -> dict[str, str]:
    key = next(key for key in stack.keys("sql/") if key.endswith("/visits.sql"))
    return {
        "SqlUri": f"s3://{stack.bucket}/{key}",
        "DestinationUri": f"s3://{stack.bucket}/unused.csv",
        "Database": stack.outputs["DatabaseName"],
        "WorkGroup": stack.outputs["WorkGroupName"],
        "ExecutionId": execution_id,
    }


def query_executions(stack: Stack) -> set[str]:
    """Return the ids of all queries so far; a page holds 50."""
    pages = boto3.client("athena").get_paginator("list_query_executions")
    found = pages.paginate(WorkGroup=stack.outputs["WorkGroupName"])
    return {execution for page in found for execution in page["QueryExecutionIds"]}


def test_a_retried_start_does_not_start_a_second_query(stack: Stack) -> None:
    before = query_executions(stack)
    answers = [
        stack.invoke("StartQueryExecutionFunction", start_event(stack, execution_id))
        for execution_id in ("arn:one", "arn:one", "arn:two")
    ]
    assert not any(failed for _, failed in answers)
    first, retried, other = (answer["QueryExecutionId"] for answer, _ in answers)
    assert first == retried != other
    assert query_executions(stack) - before == {first, other}


def test_a_missing_sql_file_is_an_error_that_names_it(stack: Stack) -> None:
    event = start_event(stack, "arn:three") | {"SqlUri": f"s3://{stack.bucket}/sql/nowhere.sql"}
    answer, failed = stack.invoke("StartQueryExecutionFunction", event)
    assert failed
    assert answer["errorType"] == "NoSuchKey"


@pytest.fixture
def small_parts(stack: Stack) -> Iterator[None]:
    """Lower the multipart threshold of the deployed copy function to S3's smallest part."""
    resources = boto3.client("cloudformation").describe_stack_resources(StackName=STACK_NAME)["StackResources"]
    name = next(r["PhysicalResourceId"] for r in resources if r["LogicalResourceId"] == "CopyS3ContentFunction")
    functions = boto3.client("lambda")
    original = functions.get_function_configuration(FunctionName=name).get("Environment", {}).get("Variables", {})
    lowered = {"MULTIPART_THRESHOLD_BYTES": str(5 * MIB), "MULTIPART_PART_BYTES": str(5 * MIB)}
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": original | lowered})
    yield
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": original})


def put(stack: Stack, key: str, body: bytes) -> str:
    stack.s3.put_object(Bucket=stack.bucket, Key=key, Body=body)
    return f"s3://{stack.bucket}/{key}"


def copy(stack: Stack, source: str, destination: str) -> tuple[Any, bool]:
    return stack.invoke("CopyS3ContentFunction", {"SourceUri": source, "DestinationUri": destination})


def test_a_large_object_is_copied_in_parts(stack: Stack, small_parts: None) -> None:
    body = b'"user_id"\n' + b'"0123456789abcdef"\n' * (12 * MIB // 19)
    destination = f"s3://{stack.bucket}/runs/copies/large.csv"
    answer, failed = copy(stack, put(stack, "athena-results/large.csv", body), destination)
    assert not failed, answer
    assert answer == {"Uri": destination, "SizeInBytes": len(body)}
    # S3 marks an object of n parts with -n at the end of its ETag.
    assert stack.keys("runs/copies/large.csv")["runs/copies/large.csv"].strip('"').endswith("-3")
    assert hashlib.sha256(stack.read(destination)).digest() == hashlib.sha256(body).digest()


def test_a_small_object_is_copied_whole(stack: Stack) -> None:
    destination = f"s3://{stack.bucket}/runs/copies/small.csv"
    answer, failed = copy(stack, put(stack, "athena-results/small.csv", b'"user_id"\n"a"\n'), destination)
    assert not failed, answer
    assert stack.read(destination) == b'"user_id"\n"a"\n'
    assert "-" not in stack.keys("runs/copies/small.csv")["runs/copies/small.csv"]


@pytest.mark.parametrize("body", [pytest.param(b"", id="empty"), pytest.param(b'"user_id"\n', id="header only")])
def test_a_result_without_rows_replaces_nothing(stack: Stack, body: bytes) -> None:
    destination = put(stack, "runs/copies/kept.csv", b'"user_id"\n"kept"\n')
    answer, failed = copy(stack, put(stack, "athena-results/empty.csv", body), destination)
    assert failed
    assert answer["errorType"] == "EmptyResult"
    assert stack.read(destination) == b'"user_id"\n"kept"\n'


def test_a_source_that_is_gone_replaces_nothing(stack: Stack) -> None:
    destination = put(stack, "runs/copies/kept.csv", b'"user_id"\n"kept"\n')
    answer, failed = copy(stack, f"s3://{stack.bucket}/athena-results/gone.csv", destination)
    assert failed, answer
    assert stack.read(destination) == b'"user_id"\n"kept"\n'


def test_the_deployment_published_the_sql_that_the_state_machine_reads(stack: Stack) -> None:
    machine = stack.step_functions.describe_state_machine(stateMachineArn=stack.outputs["TrainStateMachineArn"])
    (folder,) = {
        key.rpartition("/")[0] for key in stack.keys("sql/") if key.endswith(("/visits.sql", "/histories.sql"))
    }
    assert f"s3://{stack.bucket}/{folder}/" in machine["definition"]


def test_what_sam_uploads_has_no_alias_and_no_merge_key(stack: Stack, tmp_path: Path) -> None:
    """CloudFormation supports neither.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html
    """
    built, packaged = tmp_path / "build", tmp_path / "packaged.yaml"
    sam("build", "--config-env", "local", "--build-dir", str(built))
    template = ["--template-file", str(built / "template.yaml"), "--output-template-file", str(packaged)]
    sam("package", "--resolve-s3", "--region", os.environ["AWS_REGION"], *template)
    tokens = list(yaml.scan(packaged.read_text(encoding="utf-8")))
    scalars = {token.value for token in tokens if isinstance(token, yaml.ScalarToken)}
    assert not [token for token in tokens if isinstance(token, yaml.AnchorToken | yaml.AliasToken)]
    assert "functions.prepare_run.app.handler" in scalars
    assert "<<" not in scalars
