"""A stack that reads a table of one's own, in another database and bucket: trained, forecast, sent and measured."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import boto3
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deployed_stack import QUICK, ROOT, EmptyRegion, Stack
from iam_stack import read_stack
from judged_roles import require_allowed
from sam_commands import LOCAL, delete, sam_deploy, stack_outputs

from console.data.forecasts import history_of
from console.data.stack import client, find_stack
from demo.lift import measure_lift, own_events
from demo.simulator import World, simulate
from demo.simulator.habits import ZONES
from demo.upload import partition_files, replace_events
from functions.publish_sql.app import composed

NAME = "visitcast-own-table"
WORLD = World(users=40, days=50, end=date(2026, 10, 31), seed=7)
FORECAST_DATE = WORLD.end  # the log goes on to its end, so that the sends have outcomes
LAKE, DATABASE, TABLE = "the-lake", "lake", "app-events"
COLUMNS = {"member": "string", "at": "bigint", "clock": "string", "screen": "string", "os": "string"}
MAPPING = (
    "--columns user_id=member,event_time=at,time_zone=clock,page_type=screen,platform=os "
    "--page-types s1=1,s2=2,s3=3,*=4 --partition day"
)
PARQUET = {
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
}


def zone_with(minutes: int, at: datetime) -> str:
    """Return a zone of the simulated world that has an offset at a time."""
    return next(name for name in ZONES if at.astimezone(ZoneInfo(name)).utcoffset() == timedelta(minutes=minutes))


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
            "clock": list(map(zone_with, events["utc_offset_minutes"].to_pylist(), events["event_time"].to_pylist())),
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


def sorted_rows(stack: Stack, sql: str) -> list[tuple[str, ...]]:
    """Run a query, or that of an UNLOAD, and return its rows in an order of their own."""
    body = re.search(r"UNLOAD \((.*)\)\s*TO '", sql, re.DOTALL)
    return sorted(tuple(row.values()) for row in stack.query(body[1] if body else sql))


def test_a_whole_run_and_a_forecast_with_sends_on_a_table_of_ones_own(
    own_stack: Stack, empty_region: EmptyRegion
) -> None:
    """What they read is what the same events in the stack's own table say, so that all that follows is the same."""
    events = pa.concat_tables(block.events for block in simulate(WORLD))
    trained = own_stack.run(QUICK)
    assert trained.status == "SUCCEEDED", f"{trained.end_state}: {trained.cause}"
    counts = trained.outputs_of("Get source SQL status")[-1]["source_sql"]["Events"]
    assert (counts["rows"], counts["Notes"]) == (events.num_rows, [])

    given = {"ForecastDate": f"{FORECAST_DATE}", "AsOf": f"{FORECAST_DATE}T00:00:00Z", "HandOver": True}
    forecast = own_stack.run_forecast(given)
    assert forecast.status == "SUCCEEDED", f"{forecast.end_state}: {forecast.cause}"
    report = forecast.output["planned"]["report"]
    before = events.filter(pc.less(events["event_time"], datetime.combine(FORECAST_DATE, time(), UTC)))
    assert report["users"] == len(pc.unique(before["user_id"]))
    assert report["sends"]["planned"] > report["users"] / 2
    as_of = datetime.combine(FORECAST_DATE + timedelta(days=3), time(), UTC)
    measured = measure_lift(own_stack.outputs, forecast.output["run"]["Lift"], FORECAST_DATE, as_of)
    user = events["user_id"][0].as_py()
    client.cache_clear()
    history = history_of(find_stack(NAME), FORECAST_DATE, user).hours
    assert own_stack.keys("events/") == {}  # so far nothing but the table of one's own could be read

    replace_events(own_stack.s3, own_stack.bucket, dict(partition_files(events)), lambda _: None)
    mapping = f"(\n{own_events(own_stack.outputs)}\n)"
    stacks = f'"{own_stack.outputs["DatabaseName"]}".events'
    queries = {query["Name"]: query["Sql"] for query in forecast.output["run"]["Queries"]}
    for name, sql in queries.items():
        found = sorted_rows(own_stack, sql)
        assert found == sorted_rows(own_stack, sql.replace(mapping, stacks)), name
        assert found or name != "histories"  # the others read forecasts or sends of earlier runs
    files = {file.name: file.read_text(encoding="utf-8") for file in (ROOT / "sql").glob("*.sql")}
    run = trained.outputs_of("Prepare run")[0]["run"]
    rows = list(csv.DictReader(io.StringIO(own_stack.read(run["InputFilePath"]).decode())))
    ours = own_stack.query(composed(files, stacks)["own_visits.sql"])
    # The run knew of no sends, and visits that a push has caused since are none of training's.
    visits = [
        sorted(tuple(row.values()) for row in of if row["visit_date"] < f"{FORECAST_DATE}") for of in (rows, ours)
    ]
    assert visits[0] == visits[1] != []
    without = {name: value for name, value in own_stack.outputs.items() if name != "EventsSqlKey"}
    assert history == history_of(replace(find_stack(NAME), outputs=without), FORECAST_DATE, user).hours != {}
    client.cache_clear()
    assert measured == measure_lift(without, forecast.output["run"]["Lift"], FORECAST_DATE, as_of)
    sends = report["sends"]["planned"] + sum(report["sends"]["withheld"].values())
    assert sum(arm["sends"] for arm in measured["Arms"]) == sends
    require_allowed(read_stack(NAME), empty_region.home, NAME)
