"""Trino, which Athena's engine version 3 follows, and the local region return the same rows for the project's SQL.

Trino reads the catalog and the Parquet files of the region itself, through Glue's and S3's API.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import time
import urllib.request
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deployed_stack import wait_for
from patience import patient
from programs import BUILD, ROOT, answers, free_port, missing, server
from sam_commands import local_region, region_environment
from samtranslator.yaml_helper import yaml_parse
from test_events_table_sql import SAME, glue_table

from demo.simulator import World, simulate
from demo.upload import partition_files, put_files
from functions.prepare_forecast.plan import PUSHES, contradictions, plan_forecast, render_queries
from functions.publish_sql.app import composed
from functions.publish_sql.events_table import mapped_events
from functions.publish_sql.mapping import read_mapping
from functions.shared.execution_input import load_schema, validated
from functions.shared.network import Network

SQL = ROOT / "sql"
TABLES = (
    "Database",
    "EventsTable",
    "VisitForecastsTable",
    "SendPlansTable",
    "SendsTable",
    "PlansByRunTable",
    "PushReportsTable",
)
BUCKET, DATABASE = "judged", "visitcast_judged"
WORLD = World(users=40, days=30, end=date(2026, 10, 31), seed=3)
FORECAST_DATE = date(2026, 10, 30)
CATALOG = """\
connector.name=hive
hive.metastore=glue
hive.metastore.glue.region=eu-central-1
hive.metastore.glue.endpoint-url={region}
hive.metastore.glue.aws-access-key=test
hive.metastore.glue.aws-secret-key=test
hive.metastore.glue.partitions-segments=1
hive.partition-projection-enabled=true
hive.table-statistics-enabled=false
fs.hadoop.enabled=false
fs.native-s3.enabled=true
s3.endpoint={region}
s3.region=eu-central-1
s3.path-style-access=true
s3.aws-access-key=test
s3.aws-secret-key=test
"""
CONFIG = """\
coordinator=true
node-scheduler.include-coordinator=true
http-server.http.port={port}
node.bind-ip=127.0.0.1
node.internal-address=127.0.0.1
discovery.uri=http://127.0.0.1:{port}
query.max-memory=256MB
query.max-memory-per-node=256MB
memory.heap-headroom-per-node=128MB
"""
VERSION = "435"
"""Of Trino: also in trino/pom.xml."""
JVM = ("-Xmx1G", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
NODE = {"node.environment": "judge", "node.id": "judge"}


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A region with the template's tables, simulated events, and forecasts of two dates."""
    home = tmp_path_factory.mktemp("region")
    with pytest.MonkeyPatch.context() as patch, local_region(home) as url:
        for variable, value in region_environment(home).items():
            patch.setenv(variable, value)
        boto3.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        create_tables()
        events = pa.concat_tables(block.events for block in simulate(WORLD))
        put_files(boto3.client("s3"), BUCKET, dict(partition_files(events)))
        for days in (0, 3):
            publish(FORECAST_DATE - timedelta(days=days), sorted(set(events["user_id"].to_pylist())))
        yield url


def create_tables() -> None:
    """Create the database and the tables of the project's template in a stack of their own."""
    template = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    reduced = {
        "Parameters": {name: {"Type": "String"} for name in ("Environment", "Bucket", "EventsStartDate")},
        "Resources": {name: template["Resources"][name] for name in TABLES},
    }
    values = {"Environment": "judged", "Bucket": BUCKET, "EventsStartDate": f"{WORLD.end - timedelta(days=60)}"}
    cloudformation = boto3.client("cloudformation")
    cloudformation.create_stack(
        StackName="tables",
        TemplateBody=json.dumps(reduced),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()],
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName="tables", WaiterConfig={"Delay": 1})


def publish(day: date, users: list[str]) -> None:
    """Write made-up forecasts and sends for a date, in the types of the tables, and add their partitions."""
    random = np.random.default_rng(day.toordinal())
    chances = random.dirichlet(np.ones(24), len(users)).astype("float32")
    hours = chances.argmax(axis=1)
    forecasts = {
        "user_id": users,
        "first_visit_hour": pa.array(list(chances), pa.list_(pa.float32())),
        "visit_hour": pa.array(list(chances), pa.list_(pa.float32())),
        "best_hour": pa.array(hours, pa.int8()),
        "confidence": pa.array(chances.max(axis=1), pa.float32()),
        "source": random.choice(["model", "prior"], len(users)),
        "platform": random.choice(["ios", "android"], len(users)),
        "utc_offset_minutes": pa.array(random.choice([-60, 0, 330], len(users)), pa.int16()),
        "time_zone": pa.array([None, *["Europe/Berlin"] * (len(users) - 1)], pa.string()),
        "last_visit_date": pa.array([day - timedelta(days=2)] * len(users), pa.date32()),
        "visit_probability": pa.array([None, *random.random(len(users) - 1)], pa.float32()),
    }
    sends = [datetime(day.year, day.month, day.day, int(hour)) for hour in hours]
    plans = {
        "user_id": users,
        "arm": random.choice(["best_hour", "global_best_hour", "random_hour", "no_push"], len(users)),
        "send_hour": pa.array(hours, pa.int8()),
        "send_at_utc": pa.array(sends, pa.timestamp("ms")),
        "send_at_local": pa.array(sends, pa.timestamp("ms")),
        "chance": pa.array(chances.max(axis=1), pa.float32()),
        "source": ["model"] * len(users),
        "idempotency_key": [f"{user}/{day}" for user in users],
        "visit_probability": forecasts["visit_probability"],
        "propensity": pa.array([0.8] * len(users), pa.float64()),
        "possible_hours": pa.array([2**24 - 1] * len(users), pa.int32()),
        "withheld": pa.array([None, "no_push", *["opted_out"] * (len(users) - 2)], pa.string()),
        "salt": ["visitcast-1"] * len(users),
    }
    glue = boto3.client("glue")
    told = [{"user_id": user, "idempotency_key": f"{user}/{day}"} for user in (*users[:3], "stranger")]
    reports = "".join(f"{json.dumps(report)}\n" for report in told)
    boto3.client("s3").put_object(
        Bucket=BUCKET, Key=f"forecasts/push_reports/status=opted_out/dt={day}/1.json", Body=reports.encode()
    )
    for name, columns in (("visit_forecasts", forecasts), ("send_plans", plans), ("sends", plans)):
        # The plan lies where the table of plans by run expects it.
        key = f"runs/{day}/plans/" if name == "send_plans" else f"runs/{day}/{name}/"
        put(f"{key}part.parquet", pa.table(columns))
        descriptor = glue.get_table(DatabaseName=DATABASE, Name=name)["Table"]["StorageDescriptor"]
        partition: Any = {
            "Values": [f"{day}"] if name == "visit_forecasts" else [f"{day}", "daily"],
            "StorageDescriptor": {**descriptor, "Location": f"s3://{BUCKET}/{key}"},
        }
        glue.create_partition(DatabaseName=DATABASE, TableName=name, PartitionInput=partition)


def put(key: str, rows: pa.Table) -> None:
    content = BytesIO()
    pq.write_table(rows, content)
    boto3.client("s3").put_object(Bucket=BUCKET, Key=key, Body=content.getvalue())


@pytest.fixture(scope="module")
def trino(region: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a Trino server whose catalog is the region's."""
    folder, port = tmp_path_factory.mktemp("trino"), free_port()
    (folder / "catalog").mkdir()
    (folder / "catalog/hive.properties").write_text(CATALOG.format(region=region))
    (folder / "config.properties").write_text(CONFIG.format(port=port))
    image = os.environ.get("TRINO_IMAGE")
    command = in_container(image, folder) if image else on_this_machine(folder)
    url = f"http://127.0.0.1:{port}"
    with server(command, folder / "log", lambda: answers(f"{url}/v1/info", b'"starting":false')):
        yield url


def on_this_machine(folder: Path) -> list[str]:
    """Return the command of a server made of Maven's artifacts."""
    home = BUILD / "trino"
    if not (home / "lib").is_dir() or shutil.which("java") is None:
        missing("Trino: `make judge` fetches it with Maven and runs it on Java 17; one of them is missing.")
    with (folder / "config.properties").open("a") as config:
        config.write(f"plugin.dir={home}/plugin\ncatalog.config-dir={folder}/catalog\n")
    options = [*JVM, *(f"-D{name}={value}" for name, value in NODE.items()), f"-Dconfig={folder}/config.properties"]
    return ["java", *options, "-cp", f"{home}/lib/*", str(Path(__file__).with_name("trino") / "Server.java"), VERSION]


def in_container(image: str, folder: Path) -> list[str]:
    """Return the command of a server in a container that shares this machine's network, where the region is."""
    (folder / "jvm.config").write_text("\n".join(JVM) + "\n")
    node = {**NODE, "node.data-dir": "/data/trino"}
    (folder / "node.properties").write_text("".join(f"{name}={value}\n" for name, value in node.items()))
    engine = os.environ.get("CONTAINER", "docker")
    return [engine, "run", "--rm", "--network", "host", "--volume", f"{folder}:/etc/trino:ro", image]


class TrinoError(Exception):
    """A query that Trino refuses; the text is its error code and message."""


def ask_trino(url: str, sql: str, end: float | None = None) -> list[list[Any]]:
    """Run a query by Trino's client protocol (https://trino.io/docs/current/develop/client-protocol.html)."""
    end = end or time.monotonic() + patient(60)
    headers = {"X-Trino-User": "judge", "X-Trino-Catalog": "hive", "X-Trino-Schema": DATABASE}
    request = urllib.request.Request(f"{url}/v1/statement", data=sql.encode(), headers=headers)
    rows: list[list[Any]] = []
    while True:
        with urllib.request.urlopen(request) as response:
            answer = json.load(response)
        error = answer.get("error")
        if error and error["errorName"] == "NO_NODES_AVAILABLE" and time.monotonic() < end:
            time.sleep(1)  # It answers before its own node takes work.
            return ask_trino(url, sql, end)
        if error:
            raise TrinoError(f"{error['errorName']}: {error['message']}")
        rows += answer.get("data", [])
        if "nextUri" not in answer:
            return rows
        request = urllib.request.Request(answer["nextUri"])


def ask_region(sql: str) -> tuple[str, dict[str, Any]]:
    """Run a query in the region's Athena; return its id and what became of it."""
    athena = boto3.client("athena")
    started = athena.start_query_execution(
        QueryString=sql,
        QueryExecutionContext={"Database": DATABASE},
        ResultConfiguration={"OutputLocation": f"s3://{BUCKET}/results/"},
    )["QueryExecutionId"]
    found: dict[str, Any] = wait_for(
        lambda: athena.get_query_execution(QueryExecutionId=started)["QueryExecution"],
        lambda query: query["Status"]["State"] not in ("QUEUED", "RUNNING"),
    )
    return started, found["Status"]


def rows_of_region(sql: str) -> list[list[str | None]]:
    """Return the rows of a query in the region's Athena, as text."""
    started, status = ask_region(sql)
    assert status["State"] == "SUCCEEDED", status
    pages = boto3.client("athena").get_paginator("get_query_results").paginate(QueryExecutionId=started)
    rows = [row["Data"] for page in pages for row in page["ResultSet"]["Rows"]]
    return [[cell.get("VarCharValue") for cell in row] for row in rows[1:]]


def unloaded_by_region(sql: str) -> list[list[Any]]:
    """Return the rows of the Parquet files that an UNLOAD wrote in the region, without the partition column."""
    destination = re.search(r"TO 's3://[^/]+/([^']+)'", sql)
    assert destination is not None
    _, status = ask_region(sql)
    assert status["State"] == "SUCCEEDED", status
    s3 = boto3.client("s3")
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=destination[1])["Contents"]
    files = (BytesIO(s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read()) for entry in listed)
    return [list(row.values()) for file in files for row in pq.ParquetFile(file).read().to_pylist()]


def inner_query(unload: str) -> str:
    """Return the SELECT of an UNLOAD statement: Trino does not have UNLOAD, which is Athena's own."""
    found = re.search(r"UNLOAD \((.*)\)\s*TO '", unload, re.DOTALL)
    assert found is not None, unload
    return found[1]


def plain(value: Any) -> Any:
    """Return a value as Trino's protocol has it: dates and times are text."""
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    if isinstance(value, datetime):
        return value.isoformat(" ", "milliseconds")
    return value.isoformat() if isinstance(value, date) else value


def same(ours: Any, theirs: Any) -> bool:
    """Return whether two values agree: sums of doubles may be added in another order, a CSV file holds text."""
    if isinstance(theirs, float) and ours is not None:
        return math.isclose(float(ours), theirs, rel_tol=1e-12)
    if isinstance(ours, str) and theirs is not None:
        return ours == str(theirs)
    return bool(ours == theirs)


def require_same(ours: list[list[Any]], theirs: list[list[Any]]) -> None:
    assert ours, "no rows: nothing is compared"
    assert len(ours) == len(theirs)
    for mine, yours in zip(ours, theirs, strict=True):
        assert len(mine) == len(yours)
        assert all(map(same, mine, yours)), f"local region: {mine}\nTrino: {yours}"


def training_sql() -> dict[str, str]:
    files = composed({file.name: file.read_text(encoding="utf-8") for file in SQL.glob("*.sql")})
    return {name: text.replace("${destination}", f"s3://{BUCKET}/unloaded/{name}/") for name, text in files.items()}


def forecast_sql() -> dict[str, str]:
    run = plan_forecast(
        validated({"ForecastDate": f"{FORECAST_DATE}"}, load_schema("forecast"), contradictions),
        execution_id="arn:aws:states:eu-central-1:123456789012:execution:forecast:judged",
        started_at=f"{FORECAST_DATE + timedelta(days=1)}T20:00:00.000Z",
        bucket=BUCKET,
        network=Network((), ()),
    )
    # A forecast date on which there are forecasts for the outcomes too.
    # Trino takes one value of an injected partition column, Athena several:
    # https://docs.aws.amazon.com/athena/latest/ug/partition-projection-dynamic-id-partitioning.html
    standing = f"'{FORECAST_DATE}'"
    return {query["Name"]: query["Sql"].replace("{}", standing) for query in render_queries(run, DATABASE, SQL)}


QUERIES = {**training_sql(), **forecast_sql()}


@pytest.mark.parametrize("name", QUERIES)
def test_the_rows_are_the_same(name: str, trino: str) -> None:
    sql = QUERIES[name]
    if name == PUSHES:  # in any order
        require_same(*(sorted(rows, key=str) for rows in (rows_of_region(sql), ask_trino(trino, sql))))
        return
    if "UNLOAD (" not in sql:
        require_same(rows_of_region(sql), ask_trino(trino, sql))
        return
    unloaded = [plain(row) for row in unloaded_by_region(sql)]
    # The partition column is in the key, not in the file, and the order of the rows is not promised.
    theirs = [row[: len(unloaded[0])] for row in ask_trino(trino, inner_query(sql))]
    require_same(sorted(unloaded, key=str), sorted(theirs, key=str))


def test_trino_reads_the_integers_of_pandas_and_the_region_refuses_them(trino: str) -> None:
    """pandas writes int64 where the table says smallint and tinyint. Athena is known to refuse that (HIVE_BAD_DATA)."""
    when = pd.Timestamp(WORLD.end + timedelta(days=2)) + pd.to_timedelta(range(0, 50_000, 1000), unit="s")
    frame = pd.DataFrame(
        {
            "user_id": [f"user {number % 7}" for number in range(50)],
            "event_time": when.astype("datetime64[ms]"),
            "utc_offset_minutes": [number - 25 for number in range(50)],
            "page_type": [number % 4 + 1 for number in range(50)],
            "platform": ["ios"] * 50,
        }
    )
    assert str(frame.dtypes["page_type"]) == "int64"
    put(f"events/dt={when[0]:%Y-%m-%d}/pandas.parquet", pa.Table.from_pandas(frame, preserve_index=False))
    columns = "user_id, event_time, utc_offset_minutes, page_type, platform"
    sql = f"SELECT {columns} FROM events WHERE dt = '{when[0]:%Y-%m-%d}' ORDER BY event_time"
    assert ask_trino(trino, sql) == [[plain(value) for value in row] for row in frame.itertuples(index=False)]
    _, status = ask_region(sql)
    assert status["State"] == "FAILED"
    assert "HIVE_BAD_DATA: Field utc_offset_minutes" in status["StateChangeReason"]


def test_trino_refuses_a_mistake(trino: str) -> None:
    with pytest.raises(TrinoError, match="COLUMN_NOT_FOUND"):
        ask_trino(trino, "SELECT shoe_size FROM events")


@pytest.mark.parametrize("case", SAME)
def test_a_table_of_ones_own_gives_the_same_events(case: str, trino: str) -> None:
    rows, options = SAME[case]
    name = f"own_{list(SAME).index(case)}"
    described = glue_table(rows) | {"DatabaseName": DATABASE, "Name": name}
    storage = {
        "Location": f"s3://{BUCKET}/{name}/",
        "Columns": described["StorageDescriptor"]["Columns"],
        "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
        "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
    }
    table = {"Name": name, "TableType": "EXTERNAL_TABLE", "StorageDescriptor": storage, "Parameters": {}}
    boto3.client("glue").create_table(DatabaseName=DATABASE, TableInput=table)
    put(f"{name}/part.parquet", rows)
    sql = f"SELECT * FROM (\n{mapped_events(described, read_mapping(options))}\n) ORDER BY user_id, event_time"
    require_same(rows_of_region(sql), ask_trino(trino, sql))
