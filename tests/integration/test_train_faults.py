"""What goes wrong ends in the Fail state made for it, with a cause to act on, and harms nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from deployed_stack import QUICK, ROOT, Execution, Production, Stack, quota, wait_for

VISITS_SQL = (ROOT / "sql/visits.sql").read_text(encoding="utf-8")
COLUMNS = [
    "user_id",
    "visit_date",
    "total_time_spent_s",
    "total_page_views",
    *(f"page_views_type_{kind}" for kind in (1, 2, 3, 4)),
    "first_visit_hour",
    "last_visit_hour",
    "hourly_visits",
    "platform",
    "utc_offset_minutes",
]

pytestmark = pytest.mark.usefixtures("unharmed")


@contextmanager
def published_sql(stack: Stack, sql: str, file: str = "own_visits.sql") -> Iterator[None]:
    """Put another SQL text where the state machine reads it."""
    key = next(key for key in stack.keys("sql/") if key.endswith(f"/{file}"))
    original = stack.read(f"s3://{stack.bucket}/{key}")
    stack.s3.put_object(Bucket=stack.bucket, Key=key, Body=sql.encode())
    try:
        yield
    finally:
        stack.s3.put_object(Bucket=stack.bucket, Key=key, Body=original)


def select(order_by: str = "user_id, visit_date", **columns: str | None) -> str:
    """Write SQL that gives the visits with some columns replaced (or, with None, left out)."""
    expressions = {name: name for name in COLUMNS} | columns
    chosen = ", ".join(f"{expression} AS {name}" for name, expression in expressions.items() if expression is not None)
    body = VISITS_SQL.rsplit("ORDER BY", 1)[0]
    return f"SELECT {chosen} FROM ({body}) AS visits ORDER BY {order_by}"


def ended_in(execution: Execution, state: str, *words: str) -> None:
    """Check the end of an execution: the Fail state, and words that a person needs in the cause."""
    assert (execution.status, execution.end_state) == ("FAILED", state), execution.cause
    assert execution.error
    missing = [word for word in words if word not in execution.cause]
    assert not missing, f"{missing} not in cause: {execution.cause}"


@pytest.mark.parametrize(
    ("execution_input", "key"),
    [
        pytest.param({"Colour": 1}, "Colour", id="unknown key"),
        pytest.param({"TrainingJobName": "a" * 80}, "TrainingJobName", id="80-character name"),
        pytest.param({"ModelName": "my_model"}, "ModelName", id="underscore in a name"),
        pytest.param({"Gate": {"MaxRmseHours": -1}}, "Gate.MaxRmseHours", id="negative limit"),
        pytest.param({"EndpointName": "endpoint-"}, "EndpointName", id="name ends in a hyphen"),
    ],
)
def test_wrong_execution_input(stack: Stack, execution_input: dict[str, Any], key: str) -> None:
    execution = stack.run(execution_input)
    ended_in(execution, "Input rejected", key)
    assert execution.error == "InputRejected"
    assert "Run source SQL" not in execution.states


def test_sql_error(stack: Stack) -> None:
    with published_sql(stack, "SELECT shoe_size FROM events"):
        execution = stack.run({})
    ended_in(execution, "Source SQL failed", "COLUMN_NOT_FOUND", "shoe_size")


def test_empty_result(stack: Stack) -> None:
    with published_sql(stack, f"SELECT * FROM ({VISITS_SQL}) AS visits WHERE false"):
        execution = stack.run({})
    ended_in(execution, "Source SQL returned no visits", "no rows")


def test_empty_unload(stack: Stack) -> None:
    unload = (ROOT / "sql/histories.sql").read_text(encoding="utf-8").replace("${own_visits}", f"{VISITS_SQL} LIMIT 0")
    with published_sql(stack, unload, "histories.sql"):
        execution = stack.run({"SourceSql": {"Format": "parquet"}})
    ended_in(execution, "Source SQL returned no visits", "no rows")
    assert "Preprocess" not in execution.states


def test_cancelled_query(stack: Stack) -> None:
    stack.order_fault(service="athena", hold=True, match="first_visit_hour")
    arn = stack.start({})
    stack.wait_for_state(arn, "Get source SQL status")
    athena = boto3.client("athena")

    def running_queries() -> list[str]:
        newest = athena.list_query_executions(WorkGroup=stack.outputs["WorkGroupName"])["QueryExecutionIds"]
        found = [athena.get_query_execution(QueryExecutionId=query)["QueryExecution"] for query in newest]
        return [q["QueryExecutionId"] for q in found if q["Status"]["State"] in ("QUEUED", "RUNNING")]

    # The counts of the events run beside it.
    (running,) = wait_for(running_queries, lambda queries: len(queries) == 1)
    athena.stop_query_execution(QueryExecutionId=running)
    ended_in(stack.finish(arn), "Source SQL cancelled", running)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        pytest.param(select(platform=None), ["platform", "missing"], id="missing column"),
        pytest.param(select(shoe_size="42"), ["shoe_size"], id="extra column"),
        pytest.param(select(total_page_views="'many'"), ["total_page_views", "many"], id="wrong type"),
        pytest.param(select(last_visit_hour="25"), ["last_visit_hour", "25"], id="hour out of range"),
        pytest.param(select(visit_date="'2026-10-01'"), ["visit_date", "2026-10-01"], id="duplicate user-day"),
        pytest.param(select(order_by="visit_date, user_id"), ["user_id"], id="unsorted"),
        pytest.param(select(total_time_spent_s="CAST('NaN' AS double)"), ["total_time_spent_s"], id="NaN"),
        pytest.param(select(platform="CAST(NULL AS varchar)"), ["platform"], id="NULL"),
    ],
)
def test_bad_visits(stack: Stack, sql: str, words: list[str]) -> None:
    with published_sql(stack, sql):
        execution = stack.run({})
    ended_in(execution, "Preprocessing failed", *words)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        pytest.param({"page_type": "7"}, ["page_views_type", "total_page_views"], id="page_type of 7"),
        pytest.param(
            {"event_time": "event_time + INTERVAL '40' YEAR"}, ["visit_date", "2066"], id="event in the future"
        ),
    ],
)
def test_bad_events(stack: Stack, event: dict[str, str], words: list[str]) -> None:
    columns = ["user_id", "event_time", "utc_offset_minutes", "page_type", "platform"]
    changed = ", ".join(f"{event.get(column, column)} AS {column}" for column in columns)
    with published_sql(stack, VISITS_SQL.replace("FROM events\n", f"FROM (SELECT {changed} FROM events)\n", 1)):
        execution = stack.run({})
    ended_in(execution, "Preprocessing failed", *words)


def test_ten_times_larger_file(stack: Stack, production: Production) -> None:
    size = production.execution.outputs_of("Copy source file")[0]["source_file"]["SizeInBytes"]
    execution = stack.run({"Preprocessing": {"MaxInputBytes": size // 10}})
    ended_in(execution, "Preprocessing failed", f"{size:,} bytes", "MaxInputBytes")


def test_mixed_shards(stack: Stack, production: Production) -> None:
    uri = f"s3://{stack.bucket}/uploads/visits.csv"
    earlier = production.execution.outputs_of("Prepare run")[0]["run"]["InputFilePath"]
    # S3Prefix takes every key that begins like the input file: a second shard with the same users.
    stack.s3.put_object(Bucket=stack.bucket, Key="uploads/visits.csv.more.csv", Body=stack.read(earlier))
    ended_in(stack.run({"InputFilePath": uri}), "Preprocessing failed", "user_id")


PYTHON = ["python", "-c"]


def replace_command(stack: Stack, command: str, program: str) -> None:
    """Run a Python program once in place of an image's command."""
    image = "preprocessing" if command == "preprocess" else "training"
    stack.order_fault(image=image, match=f" {command}", argv=[*PYTHON, program])


@pytest.mark.parametrize(
    ("command", "end"),
    [
        pytest.param("preprocess", "Preprocessing failed", id="preprocess"),
        pytest.param("train", "Training failed", id="train"),
        pytest.param("evaluate", "Evaluation failed", id="evaluate"),
    ],
)
def test_job_that_exits_1(stack: Stack, production: Production, command: str, end: str) -> None:
    replace_command(stack, command, "raise SystemExit(1)")
    production.replay("preprocess", "train")
    ended_in(stack.run(QUICK), end, "exit code: 1")


@pytest.mark.parametrize(
    ("command", "end"),
    [
        pytest.param("preprocess", "Preprocessing failed", id="preprocess"),
        pytest.param("train", "Training failed", id="train"),
    ],
)
def test_job_that_is_killed(stack: Stack, production: Production, command: str, end: str) -> None:
    replace_command(stack, command, "import os; os.kill(os.getpid(), 9)")
    production.replay("preprocess")
    ended_in(stack.run(QUICK), end, "exit code: 137")


@pytest.mark.parametrize(
    ("command", "end"),
    [
        pytest.param("preprocess", "Training failed", id="preprocess"),
        pytest.param("train", "Evaluation failed", id="train"),
        pytest.param("evaluate", "Evaluation failed", id="evaluate"),
    ],
)
def test_job_that_writes_nothing(stack: Stack, production: Production, command: str, end: str) -> None:
    replace_command(stack, command, "pass")
    # The job after it is real: it must say what is missing.
    production.replay(*{"preprocess": [], "train": ["preprocess"], "evaluate": ["preprocess", "train"]}[command])
    ended_in(stack.run(QUICK), end)


def test_an_account_without_instances_is_told_which_quota_to_raise(stack: Stack) -> None:
    said = quota(0, in_use=0, usage="processing job")
    stack.order_fault(
        service="sagemaker", operation="CreateProcessingJob", error="ResourceLimitExceeded", message=said, times=100
    )
    execution = stack.run(QUICK)
    ended_in(execution, "Instance quota too low", "Service Quotas", "'ml.m5.xlarge for processing job usage' is 0")
    assert execution.error == "InstanceQuotaTooLow"
    assert not [state for state in execution.states if state.startswith("Wait for an instance")]


def test_model_that_is_not_good_enough(stack: Stack, production: Production) -> None:
    config = production.config()
    production.replay("preprocess", "train")
    execution = stack.run(QUICK | {"Gate": {"MaxRmseHours": 0.01}})
    ended_in(execution, "Model rejected", "rmse", "0.01")
    assert execution.error == "ModelRejected"
    assert production.config() == config
    # It is on record, where a person may look at it, and a forecast at its baseline.
    (output,) = execution.outputs_of("Register model version")
    version = stack.sagemaker.describe_model_package(ModelPackageName=output["run"]["Version"]["Arn"])
    assert version["ModelApprovalStatus"] == "Rejected"
    assert version["CustomerMetadataProperties"]["GatePassed"] == "false"


def failed_deployment(stack: Stack, execution: Execution, state: str, *words: str) -> None:
    """Check the end of a deployment: its Fail state, and the version that is rejected with the same reason."""
    ended_in(execution, "Deployment failed", *words)
    assert state in execution.states
    (output,) = execution.outputs_of("Register model version")
    version = stack.sagemaker.describe_model_package(ModelPackageName=output["run"]["Version"]["Arn"])
    assert version["ModelApprovalStatus"] == "Rejected"
    assert version["ApprovalDescription"].startswith(
        f"Deployment by execution {execution.arn.rpartition(':')[2]} failed"
    )
    assert execution.error in version["ApprovalDescription"]


def test_denied_describe_endpoint_creates_nothing(stack: Stack, production: Production) -> None:
    production.replay("preprocess", "train", "evaluate")
    stack.order_fault(
        service="sagemaker",
        operation="DescribeEndpoint",
        error="AccessDeniedException",
        message="User is not authorized to perform: sagemaker:DescribeEndpoint",
        times=5,  # the first try and four retries
    )
    execution = stack.run(QUICK | {"EndpointName": "denied"})
    failed_deployment(stack, execution, "Endpoint not described", "sagemaker:DescribeEndpoint")
    assert not {"Create endpoint", "Update endpoint"} & set(execution.states)
    assert "denied" not in [e["EndpointName"] for e in stack.sagemaker.list_endpoints()["Endpoints"]]


def test_endpoint_without_a_quota(stack: Stack, production: Production) -> None:
    production.replay("preprocess", "train", "evaluate")
    said = quota(1, in_use=1, usage="endpoint")  # the instance that the update is to replace
    stack.order_fault(
        service="sagemaker", operation="UpdateEndpoint", error="ResourceLimitExceeded", message=said, times=100
    )
    execution = stack.run(QUICK)
    failed_deployment(stack, execution, "Endpoint quota too low", "an update needs twice as many", "endpoint usage")


def test_endpoint_that_cannot_be_created(stack: Stack, production: Production) -> None:
    production.replay("preprocess", "train", "evaluate")
    stack.order_fault(image="serving", match="serve", argv=[*PYTHON, "raise SystemExit(3)"])
    execution = stack.run(QUICK | {"EndpointName": "never-up"})
    failed_deployment(stack, execution, "Endpoint failed", "Failed")
    stack.sagemaker.delete_endpoint(EndpointName="never-up")


def test_update_that_rolls_back(stack: Stack, production: Production) -> None:
    config = production.config()
    production.replay("preprocess", "train", "evaluate")
    stack.order_fault(image="serving", match="serve", argv=[*PYTHON, "raise SystemExit(3)"])
    execution = stack.run(QUICK)
    failed_deployment(stack, execution, "Endpoint update rolled back", config)
    assert production.config() == config
    description = stack.sagemaker.describe_endpoint(EndpointName=production.endpoint)
    assert description["EndpointStatus"] == "InService"


SLEEPS = [*PYTHON, "import time; time.sleep(300)"]


def jobs_of(stack: Stack, name: str) -> list[str]:
    """Return the status of the processing jobs whose name contains a text."""
    found = stack.sagemaker.list_processing_jobs(NameContains=name)["ProcessingJobSummaries"]
    return [job["ProcessingJobStatus"] for job in found]


def test_abort_stops_the_job(stack: Stack) -> None:
    stack.order_fault(image="preprocessing", argv=SLEEPS)
    arn = stack.start({"PreprocessingJobName": "aborted"})
    wait_for(stack.processes, lambda running: any("aborted" in p["name"] for p in running))
    stack.step_functions.stop_execution(executionArn=arn, error="Operator", cause="changed my mind")
    execution = stack.finish(arn)
    assert (execution.status, execution.error, execution.cause) == ("ABORTED", "Operator", "changed my mind")
    assert wait_for(lambda: jobs_of(stack, "aborted"), lambda status: status == ["Stopped"])
    assert not [p for p in stack.processes() if "aborted" in p["name"]]


def test_timeout_stops_the_job(stack: Stack) -> None:
    stack.order_fault(image="preprocessing", argv=SLEEPS)
    execution = stack.run({"PreprocessingJobName": "too-slow", "Preprocessing": {"TimeoutSeconds": 2}})
    ended_in(execution, "Step timed out", "TimeoutSeconds")
    assert wait_for(lambda: jobs_of(stack, "too-slow"), lambda status: status == ["Stopped"])
    assert not [p for p in stack.processes() if "too-slow" in p["name"]]
