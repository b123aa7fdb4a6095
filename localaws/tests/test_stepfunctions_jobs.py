"""Step Functions with jobs and queries: .sync, errors, and what stops a job."""

from __future__ import annotations

import json
from typing import Any

import pytest
from athena_queries import Athena
from region import IMAGE, Region
from state_machines import job_status, machine, output, processing, wait_for_job


def test_sync_waits_for_the_job_and_returns_its_description(region: Region) -> None:
    execution = region.start(machine(processing("print('done')")), name="fine")
    result = output(region.finished(execution))
    assert result["ProcessingJobStatus"] == "Completed"
    assert isinstance(result["CreationTime"], int)
    types = [event["type"] for event in region.history(execution)]
    assert types.index("TaskScheduled") < types.index("TaskSubmitted") < types.index("TaskSucceeded")


def test_a_job_that_fails_is_a_task_failed_with_the_description_as_cause(region: Region) -> None:
    failed = region.run(machine(processing("raise SystemExit('exploded')")))
    assert failed["error"] == "States.TaskFailed"
    cause = json.loads(failed["cause"])
    assert cause["ProcessingJobStatus"] == "Failed"
    assert "exploded" in json.dumps(cause)


def test_a_name_that_is_taken_is_an_error_of_sagemaker(region: Region) -> None:
    state = processing("pass", name="States.Format('taken')")
    output(region.run(machine(state)))
    assert region.run(machine(state))["error"].startswith("SageMaker.")


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("ResourceLimitExceeded", "SageMaker.ResourceLimitExceededException"),
        ("AccessDeniedException", "SageMaker.AmazonSageMakerException"),
        ("ThrottlingException", "SageMaker.AmazonSageMakerException"),
    ],
)
def test_an_error_of_the_api_can_be_retried_by_its_name(region: Region, code: str, name: str) -> None:
    fault = {"service": "sagemaker", "operation": "CreateProcessingJob", "error": code, "message": "not now"}
    region.order(**fault)
    caught = region.run(machine(processing("pass")))
    assert caught["error"] == name
    assert "not now" in caught["cause"]
    region.order(**fault)
    retry = [{"ErrorEquals": [name], "IntervalSeconds": 30, "MaxAttempts": 1}]
    job = "States.Format('retried-{}-{}', $$.State.RetryCount, $$.Execution.Name)"
    assert (
        output(region.run(machine(processing("pass", name=job, Retry=retry))))["ProcessingJobName"][:10] == "retried-1-"
    )


def test_abort_stops_the_job(region: Region) -> None:
    execution = region.start(machine(processing("import time; time.sleep(60)")), name="aborted")
    wait_for_job(region, "job-aborted", "InProgress")
    region.client("stepfunctions").stop_execution(executionArn=execution)
    assert region.finished(execution)["status"] == "ABORTED"
    wait_for_job(region, "job-aborted", "Stopped")
    types = [event["type"] for event in region.history(execution)]
    assert "TaskSucceeded" not in types


def test_a_timeout_stops_the_job_and_can_be_caught(region: Region) -> None:
    catch = [{"ErrorEquals": ["States.Timeout"], "Next": "Caught"}]
    state = processing("import time; time.sleep(60)", TimeoutSeconds=3, Catch=catch)
    execution = region.start(machine(state, Caught={"Type": "Pass", "End": True}), name="late")
    assert region.finished(execution)["status"] == "SUCCEEDED"
    wait_for_job(region, "job-late", "Stopped")


def test_a_failed_sibling_in_a_map_stops_the_other_jobs(region: Region) -> None:
    state = processing("", name="$.name", End=True)
    state["Parameters"]["AppSpecification"] = {
        "ImageUri": IMAGE,
        "ContainerArguments.$": "States.Array('exec', $.script)",
    }
    inner = {"StartAt": "Inner", "States": {"Inner": state}}
    items = [
        {"name": "sibling-fails", "script": "import time; time.sleep(1); raise SystemExit(4)"},
        {"name": "sibling-sleeps", "script": "import time; time.sleep(60)"},
    ]
    failed = region.run(machine({"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": inner}), {"items": items})
    assert failed["error"] == "States.TaskFailed"
    wait_for_job(region, "sibling-sleeps", "Stopped")
    assert job_status(region, "sibling-fails") == "Failed"


def test_sync_of_athena_returns_the_query_and_fails_with_its_reason(region: Region) -> None:
    region.client("athena").create_work_group(
        Name="group", Configuration={"ResultConfiguration": {"OutputLocation": f"s3://{region.bucket}/results/"}}
    )

    def query(text: str) -> dict[str, Any]:
        resource = "arn:aws:states:::athena:startQueryExecution.sync"
        return machine(
            {"Type": "Task", "Resource": resource, "Parameters": {"QueryString": text, "WorkGroup": "group"}}
        )

    execution = output(region.run(query("SELECT 7 / 2 AS half")))["QueryExecution"]
    bucket, _, key = execution["ResultConfiguration"]["OutputLocation"].removeprefix("s3://").partition("/")
    assert region.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read() == b'"half"\n"3"\n'
    failed = region.run(query("SELECT nothing"))
    assert failed["error"] == "States.TaskFailed"
    assert "COLUMN_NOT_FOUND" in json.loads(failed["cause"])["Status"]["StateChangeReason"]


def test_every_role_that_queries_a_table_is_on_record_as_its_reader(region: Region, athena: Athena) -> None:
    prefix = athena.table("read", "id int")
    athena.put_parquet(f"{prefix}/a.parquet", "SELECT 1::INTEGER AS id")
    roles = [f"arn:aws:iam::123456789012:role/{name}-{athena.database}" for name in ("first", "second")]
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::athena:startQueryExecution.sync",
        "Parameters": {
            "QueryString": f"SELECT id FROM {athena.database}.read",
            "ResultConfiguration": {"OutputLocation": f"s3://{region.bucket}/results/"},
        },
    }
    client = region.client("stepfunctions")
    for role in roles:  # the second finds the object copied already
        arn = client.create_state_machine(
            name=role.rpartition("/")[2], definition=json.dumps(machine(state)), roleArn=role
        )["stateMachineArn"]
        output(region.finished(client.start_execution(stateMachineArn=arn)["executionArn"]))
    calls = [json.loads(line) for line in (region.home / "calls.jsonl").read_text().splitlines()]
    reads = [call for call in calls if call["action"] == "s3:GetObject" and f"/{prefix}/" in call["resource"]]
    readers = [call["role"] for call in reads]
    assert readers == roles
