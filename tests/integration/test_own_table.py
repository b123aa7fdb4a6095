"""A stack that reads a table of one's own, in another database and bucket: trained, and forecast from it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import date, timedelta

import boto3
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deployed_stack import QUICK, EmptyRegion, Stack, entered, wait_for
from iam_stack import read_stack
from judged_roles import require_allowed
from sam_commands import LOCAL, delete, sam_deploy, stack_outputs

from demo.simulator import World, simulate

NAME = "visitcast-own-table"
WORLD = World(users=40, days=50, end=date(2026, 10, 31), seed=7)
FORECAST_DATE = WORLD.end + timedelta(days=1)
LAKE, DATABASE, TABLE = "the-lake", "lake", "app-events"
COLUMNS = {"member": "string", "at": "bigint", "offset_seconds": "int", "screen": "string", "os": "string"}
MAPPING = (
    "--columns user_id=member,event_time=at,utc_offset_minutes=offset_seconds,page_type=screen,platform=os "
    "--page-types s1=1,s2=2,s3=3,*=4 --partition day"
)
PARQUET = {
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
}


def put_table(events: pa.Table) -> None:
    """Make a table with columns, types and partitions of its own, registered one by one."""
    s3, glue = boto3.client("s3"), boto3.client("glue")
    s3.create_bucket(Bucket=LAKE, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    glue.create_database(DatabaseInput={"Name": DATABASE})
    columns = [{"Name": name, "Type": kind} for name, kind in COLUMNS.items()]
    descriptor = {"Columns": columns, "Location": f"s3://{LAKE}/app/", **PARQUET}
    keys = [{"Name": "day", "Type": "string"}]
    table = {"Name": TABLE, "TableType": "EXTERNAL_TABLE", "StorageDescriptor": descriptor, "PartitionKeys": keys}
    glue.create_table(DatabaseName=DATABASE, TableInput=table)
    days = pc.strftime(events["event_time"], "%Y-%m-%d")
    own = pa.table(
        {
            "member": events["user_id"],
            "at": events["event_time"].cast(pa.timestamp("ms")).cast(pa.int64()),
            "offset_seconds": pc.multiply(events["utc_offset_minutes"].cast(pa.int32()), pa.scalar(60, pa.int32())),
            "screen": pc.binary_join_element_wise("s", events["page_type"].cast(pa.string()), ""),
            "os": pc.utf8_upper(events["platform"]),
        }
    )
    for day in sorted(set(days.to_pylist())):
        body = io.BytesIO()
        pq.write_table(own.filter(pc.equal(days, day)), body)
        s3.put_object(Bucket=LAKE, Key=f"app/{day}/part-0.parquet", Body=body.getvalue())
        place = {**descriptor, "Location": f"s3://{LAKE}/app/{day}/"}
        partition = {"Values": [day], "StorageDescriptor": place}
        glue.create_partition(DatabaseName=DATABASE, TableName=TABLE, PartitionInput=partition)


@pytest.fixture
def own_stack(empty_region: EmptyRegion) -> Iterator[Stack]:
    put_table(pa.concat_tables(block.events for block in simulate(WORLD)))
    choices = {"EventsDatabase": DATABASE, "EventsTableName": TABLE, "EventsMapping": MAPPING, "EndpointMode": "none"}
    sam_deploy(empty_region.build, "local", LOCAL | choices, "--stack-name", NAME)
    yield Stack(stack_outputs(NAME), "", empty_region.home)
    delete(NAME)
    s3 = boto3.client("s3")
    for item in s3.list_objects_v2(Bucket=LAKE)["Contents"]:
        s3.delete_object(Bucket=LAKE, Key=item["Key"])
    s3.delete_bucket(Bucket=LAKE)
    boto3.client("glue").delete_database(Name=DATABASE)


def histories_of_a_forecast() -> str:
    """Return the query of the users' histories, as the deployed function plans it."""
    resources = boto3.client("cloudformation").describe_stack_resources(StackName=NAME)["StackResources"]
    name = next(r["PhysicalResourceId"] for r in resources if r["LogicalResourceId"] == "PrepareForecastFunction")
    event = {
        "Input": {"ForecastDate": f"{FORECAST_DATE}", "AsOf": f"{FORECAST_DATE}T00:00:00Z"},
        "ExecutionId": "arn:aws:states:eu-central-1:123456789012:execution:forecast:own",
        "ExecutionStartTime": f"{FORECAST_DATE}T00:00:00.000Z",
    }
    answer = json.loads(boto3.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))["Payload"].read())
    sql: str = next(query["Sql"] for query in answer["Queries"] if query["Name"] == "histories")
    return sql[sql.index("UNLOAD (") + 8 : sql.rindex(")\nTO ")]


def test_a_run_and_a_forecast_read_a_table_of_ones_own(own_stack: Stack, empty_region: EmptyRegion) -> None:
    events = pa.concat_tables(block.events for block in simulate(WORLD))
    arn = own_stack.start(QUICK)
    ends = {"Train", "Source SQL failed", "Preprocess failed"}
    wait_for(lambda: entered(own_stack.history(arn)), lambda found: ends & {*found})
    own_stack.step_functions.stop_execution(executionArn=arn)  # what follows does not know where the visits are from
    execution = own_stack.finish(arn)
    assert "Train" in execution.states, execution.cause
    counts = execution.outputs_of("Get source SQL status")[-1]["source_sql"]["Events"]
    assert (counts["rows"], counts["Notes"]) == (events.num_rows, [])
    (found,) = own_stack.query(f"SELECT count(*) AS users FROM ({histories_of_a_forecast()})")
    assert found == {"users": f"{len(pc.unique(events['user_id']))}"}
    assert own_stack.keys("events/") == {}
    require_allowed(read_stack(NAME), empty_region.home, NAME)
