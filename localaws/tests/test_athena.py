"""Athena through its API: states, results, tables, errors."""

from __future__ import annotations

import io
import uuid
from typing import Any

import pytest
from athena_queries import Athena
from botocore.exceptions import ClientError
from region import wait_for


def test_result_file_is_written_as_athena_writes_it(athena: Athena) -> None:
    query = """
SELECT 'a "quoted", text' AS text, CAST(NULL AS varchar) AS missing, '' AS empty, 42 AS number, true AS flag,
       DATE '2026-01-02' AS day, TIMESTAMP '2026-01-02 03:04:05' AS moment, 1.5e8 AS large, 0.25e0 AS small,
       CAST(1.50 AS decimal(5,2)) AS exact, ARRAY[1, 2] AS list, count(*), from_unixtime(0) AS epoch
"""
    header, row = athena.text(query).splitlines()
    assert header == (
        '"text","missing","empty","number","flag","day","moment","large","small","exact","list","_col11","epoch"'
    )
    assert row == (
        '"a ""quoted"", text",,"","42","true","2026-01-02","2026-01-02 03:04:05.000","1.5E8","0.25","1.50",'
        '"[1, 2]","1","1970-01-01 00:00:00.000 UTC"'
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT 1 AS a WHERE false", '"a"\n'),
        ("SELECT CAST(NULL AS varchar) AS a", '"a"\n\n'),
        ("SELECT 1 AS a, 2 AS a", '"a","a"\n"1","2"\n'),
        ("SELECT 'ä' AS a;", '"a"\n"ä"\n'),
        ("SELECT 'x\ny' AS \"A b\"", '"A b"\n"x\ny"\n'),
    ],
    ids=["no rows", "only NULL", "same name twice", "semicolon", "line break"],
)
def test_result_file_of_odd_queries(athena: Athena, query: str, expected: str) -> None:
    assert athena.text(query) == expected


def test_description_of_a_finished_query(athena: Athena) -> None:
    execution = athena.start("SELECT ? + ? AS total", ExecutionParameters=["40", "2"])
    described = athena.end_of(execution)
    assert described["ResultConfiguration"]["OutputLocation"] == f"{athena.output}/{execution}.csv"
    assert described["StatementType"] == "DML"
    assert described["WorkGroup"] == "primary"
    assert described["ExecutionParameters"] == ["40", "2"]
    assert described["Statistics"]["DataScannedInBytes"] == 0
    assert (
        described["Statistics"]["TotalExecutionTimeInMillis"] >= described["Statistics"]["EngineExecutionTimeInMillis"]
    )
    assert described["Status"]["SubmissionDateTime"] <= described["Status"]["CompletionDateTime"]
    assert athena.region.get(described["ResultConfiguration"]["OutputLocation"]) == b'"total"\n"42"\n'
    assert execution in athena.client.list_query_executions(WorkGroup="primary")["QueryExecutionIds"]


def test_results_come_in_pages(athena: Athena) -> None:
    query = "SELECT n, IF(n = 3, NULL, 'row \"' || CAST(n AS varchar)) AS name FROM UNNEST(sequence(1, 2500)) AS t(n)"
    execution = athena.start(query + " ORDER BY n")
    athena.end_of(execution)
    pages = list(athena.client.get_paginator("get_query_results").paginate(QueryExecutionId=execution))
    assert [len(page["ResultSet"]["Rows"]) for page in pages] == [1000, 1000, 501]
    rows = [row["Data"] for page in pages for row in page["ResultSet"]["Rows"]]
    assert rows[0] == [{"VarCharValue": "n"}, {"VarCharValue": "name"}]
    assert rows[3] == [{"VarCharValue": "3"}, {}]
    assert rows[2500] == [{"VarCharValue": "2500"}, {"VarCharValue": 'row "2500'}]
    columns = pages[0]["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
    assert [(column["Name"], column["Type"]) for column in columns] == [("n", "bigint"), ("name", "varchar")]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("SELECT nope FROM (VALUES 1) AS t(x)", "COLUMN_NOT_FOUND: line 1:8: Column 'nope' cannot be resolved"),
        ("SELECT t.nope\nFROM (VALUES 1) AS t(x)", "COLUMN_NOT_FOUND: line 1:10: Column 'nope' cannot be resolved"),
        ("SELECT 1\nFROM nowhere", "TABLE_NOT_FOUND: line 2:6: Table 'awsdatacatalog.{db}.nowhere' does not exist"),
        ("SELECT 1 FROM no.where_", "SCHEMA_NOT_FOUND: line 1:18: Schema 'awsdatacatalog.no' does not exist"),
        ("SELECT nofunction(1)", "FUNCTION_NOT_FOUND: line 1:8: Function 'nofunction' not registered"),
        # The shift is an integer, and Trino makes none of the bigint that hour() returns.
        (
            "SELECT bitwise_left_shift(bigint '1', hour(timestamp '2020-01-01 05:00:00'))",
            "FUNCTION_NOT_FOUND: line 1:8: Unexpected parameters for function bitwise_left_shift",
        ),
        ("SELECT hour('x')", "TYPE_MISMATCH: line 1:8: Unexpected parameters for function hour"),
        ("SELECT CAST('x' AS integer)", "INVALID_CAST_ARGUMENT: Could not convert string 'x' to INT32"),
        ("SELECT ? AS a", "INVALID_PARAMETER_USAGE: line 1:1: Incorrect number of parameters: expected 1 but found 0"),
    ],
    ids=["column", "column of table", "table", "schema", "function", "shift", "type", "cast", "parameter"],
)
def test_reasons_of_failure(athena: Athena, query: str, reason: str) -> None:
    assert athena.failure(query) == reason.format(db=athena.database)


@pytest.mark.parametrize("query", ["SELEC 1", "SELECT (1", "SELECT 1; SELECT 2", "SELECT 'open", " "])
def test_a_malformed_query_is_refused_at_its_start(athena: Athena, query: str) -> None:
    with pytest.raises(ClientError) as caught:
        athena.start(query)
    assert caught.value.response["Error"]["Code"] == "InvalidRequestException"


def test_a_token_starts_a_query_once(athena: Athena) -> None:
    token = uuid.uuid4().hex
    first = athena.start("SELECT 1", ClientRequestToken=token)
    assert athena.start("SELECT 1", ClientRequestToken=token) == first
    with pytest.raises(ClientError, match="Idempotent parameters do not match") as caught:
        athena.start("SELECT 2", ClientRequestToken=token)
    assert caught.value.response["Error"]["Code"] == "InvalidRequestException"
    assert athena.start("SELECT 1", ClientRequestToken=uuid.uuid4().hex) != first


def test_a_held_query_can_be_cancelled(athena: Athena) -> None:
    athena.region.order(service="athena", hold=True)
    execution = athena.start("SELECT 1")
    wait_for(lambda: athena.state(execution), lambda state: state == "RUNNING")
    with pytest.raises(ClientError, match=r"Query has not yet finished\. Current state: RUNNING"):
        athena.client.get_query_results(QueryExecutionId=execution)
    athena.client.stop_query_execution(QueryExecutionId=execution)
    assert athena.state(execution) == "CANCELLED"
    assert athena.region.keys(f"results/{athena.database}") == []


def test_a_held_query_goes_on_when_the_faults_are_lifted(athena: Athena) -> None:
    athena.region.order(service="athena", hold=True)
    execution = athena.start("SELECT 1")
    wait_for(lambda: athena.state(execution), lambda state: state == "RUNNING")
    athena.region.lift()
    assert athena.end_of(execution)["Status"]["State"] == "SUCCEEDED"


def test_a_working_query_is_interrupted(athena: Athena) -> None:
    million = "(SELECT n FROM UNNEST(sequence(1, 1000000)) AS t(n))"
    execution = athena.start(f"SELECT count(*) FROM {million} a CROSS JOIN {million} b WHERE a.n * b.n % 7 = 3")
    wait_for(lambda: athena.state(execution), lambda state: state == "RUNNING")
    athena.client.stop_query_execution(QueryExecutionId=execution)
    assert athena.state(execution) == "CANCELLED"
    assert athena.text("SELECT 1 AS a") == '"a"\n"1"\n'


def test_work_group_enforces_its_output_location(athena: Athena) -> None:
    name = f"group-{uuid.uuid4().hex[:6]}"
    location = f"s3://{athena.region.bucket}/enforced/"
    athena.client.create_work_group(
        Name=name,
        Configuration={
            "ResultConfiguration": {"OutputLocation": location},
            "EnforceWorkGroupConfiguration": True,
            "BytesScannedCutoffPerQuery": 10_000_000,
        },
    )
    execution = athena.start("SELECT 1", WorkGroup=name)
    assert athena.end_of(execution)["ResultConfiguration"]["OutputLocation"] == f"{location}{execution}.csv"


def test_a_query_that_scans_too_much_is_cancelled(athena: Athena) -> None:
    name = f"group-{uuid.uuid4().hex[:6]}"
    athena.client.create_work_group(
        Name=name,
        Configuration={
            "ResultConfiguration": {"OutputLocation": athena.output},
            "BytesScannedCutoffPerQuery": 10_000_000,
        },
    )
    # Text that Parquet cannot compress.
    select = "SELECT uuid() || uuid() AS line FROM range(200000)"
    athena.put_parquet(f"{athena.table('big', 'line string')}/big", select)
    status = athena.end_of(athena.start("SELECT count(*) FROM big", WorkGroup=name))["Status"]
    assert status["State"] == "CANCELLED"
    assert "Bytes scanned limit was exceeded" in status["StateChangeReason"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"WorkGroup": "nobody"}, "WorkGroup nobody is not found"),
        ({"ResultConfiguration": {}}, "No output location provided"),
        ({"ResultConfiguration": {"OutputLocation": "s3://no-such-bucket/x"}}, "Unable to verify/create output bucket"),
    ],
    ids=["work group", "no location", "no bucket"],
)
def test_requests_that_are_refused(athena: Athena, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message) as caught:
        athena.start("SELECT 1", **options)
    assert caught.value.response["Error"]["Code"] == "InvalidRequestException"


def test_unknown_execution(athena: Athena) -> None:
    with pytest.raises(ClientError, match="was not found"):
        athena.describe(str(uuid.uuid4()))


def test_projected_partitions_are_read_from_their_folders(athena: Athena) -> None:
    prefix = athena.table(
        "events",
        "id bigint, later string",
        "dt string",
        projection__enabled="true",
        projection__dt__type="date",
        projection__dt__range="2026-01-01,NOW",
        projection__dt__format="yyyy-MM-dd",
    )
    athena.put_parquet(f"{prefix}/dt=2026-01-01/a.parquet", "SELECT 1::INTEGER AS id")
    athena.put_parquet(f"{prefix}/dt=2026-01-02/a.parquet", "SELECT 2::BIGINT AS ID, 'x' AS later, 9 AS unknown")
    athena.region.put(f"{prefix}/dt=2026-01-02/_SUCCESS", "")
    athena.region.put(f"{prefix}/dt=2026-01-02/.hidden", "no parquet")
    assert athena.text("SELECT * FROM events ORDER BY id") == (
        '"id","later","dt"\n"1",,"2026-01-01"\n"2","x","2026-01-02"\n'
    )
    assert athena.text("SELECT max(id) AS id FROM events WHERE dt < '2026-01-02'") == '"id"\n"1"\n'


def test_changed_objects_are_read_anew(athena: Athena) -> None:
    prefix = athena.table("events", "id int")
    athena.put_parquet(f"{prefix}/a.parquet", "SELECT 1::INTEGER AS id")
    assert athena.text("SELECT * FROM events") == '"id"\n"1"\n'
    athena.put_parquet(f"{prefix}/a.parquet", "SELECT 2::INTEGER AS id")
    athena.put_parquet(f"{prefix}/b.parquet", "SELECT 2::INTEGER AS id")
    assert athena.text("SELECT * FROM events") == '"id"\n"2"\n"2"\n'


def test_registered_partitions_are_read_where_they_lie(athena: Athena) -> None:
    athena.table("events", "id int", "year int, kind string")
    elsewhere = f"elsewhere/{athena.database}"
    athena.put_parquet(f"{elsewhere}/x.parquet", "SELECT 7::INTEGER AS id")
    assert athena.text("SELECT * FROM events") == '"id","year","kind"\n'
    athena.glue.create_partition(
        DatabaseName=athena.database,
        TableName="events",
        PartitionInput={
            "Values": ["2026", "a/b"],
            "StorageDescriptor": {"Location": f"s3://{athena.region.bucket}/{elsewhere}/"},
        },
    )
    assert athena.text("SELECT id, year + 1 AS next, kind FROM events") == '"id","next","kind"\n"7","2027","a/b"\n'


def test_location_template_and_enumerated_projection(athena: Athena) -> None:
    athena.table(
        "events",
        "id int",
        "kind string",
        projection__enabled="true",
        projection__kind__type="enum",
        projection__kind__values="web, app",
        storage__location__template=f"s3://{athena.region.bucket}/templated/{athena.database}/${{kind}}/",
    )
    for number, kind in enumerate(["web", "app", "other"]):
        key = f"templated/{athena.database}/{kind}/a.parquet"
        athena.put_parquet(key, f"SELECT {number}::INTEGER AS id")
    assert athena.text("SELECT * FROM events ORDER BY id") == '"id","kind"\n"0","web"\n"1","app"\n'


def test_json_lines_are_read_by_the_names_of_their_keys(athena: Athena) -> None:
    athena.table(
        "lines",
        "name string, count int, at string",
        "kind string, dt string",
        serde="org.openx.data.jsonserde.JsonSerDe",
        projection__enabled="true",
        projection__kind__type="enum",
        projection__kind__values="a,b",
        projection__dt__type="date",
        storage__location__template=f"s3://{athena.region.bucket}/lines/{athena.database}/kind=${{kind}}/dt=${{dt}}/",
    )
    assert athena.text("SELECT * FROM lines") == '"name","count","at","kind","dt"\n'
    prefix = f"lines/{athena.database}"
    first = (
        '{"count": 3, "name": "ü \\"x\\"", "unknown": [1], "kind": "c", "at": "2026-01-02T00:00:00Z"}\n{"name": null}\n'
    )
    athena.region.put(f"{prefix}/kind=a/dt=2026-01-02/1.json", first)
    athena.region.put(f"{prefix}/kind=b/dt=2026-01-02/1.json", '{"name": "b"}\n')
    assert athena.text("SELECT * FROM lines WHERE kind = 'a' ORDER BY count") == (
        '"name","count","at","kind","dt"\n"ü ""x""","3","2026-01-02T00:00:00Z","a","2026-01-02"\n,,,"a","2026-01-02"\n'
    )
    assert athena.text("SELECT count(*) AS n FROM lines") == '"n"\n"3"\n'


def test_another_storage_format_is_refused_by_name(athena: Athena) -> None:
    serde = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
    athena.region.put(f"{athena.table('lines', 'name string', serde=serde)}/a.csv", "a\n")
    assert f"stored as {serde.lower()}. The local region reads Parquet" in athena.failure("SELECT * FROM lines")


@pytest.mark.parametrize(
    ("select", "column"),
    [
        ("SELECT 'text' AS id", "id int"),
        ("SELECT 1::BIGINT AS id", "id int"),
        ("SELECT 1.5::DOUBLE AS id", "id bigint"),
        ("SELECT 1 AS id", "id string"),
    ],
    ids=["text as int", "bigint as int", "double as bigint", "int as string"],
)
def test_a_column_of_another_type_is_an_error(athena: Athena, select: str, column: str) -> None:
    prefix = athena.table("events", column)
    athena.put_parquet(f"{prefix}/a.parquet", select)
    reason = athena.failure("SELECT * FROM events")
    assert reason.startswith("HIVE_BAD_DATA: Field id's type ")
    assert f"s3://{athena.region.bucket}/{prefix}/a.parquet" in reason


def test_an_object_that_is_not_parquet(athena: Athena) -> None:
    prefix = athena.table("events", "id int")
    athena.region.put(f"{prefix}/a.parquet", "id,name\n1,2\n" * 10)
    reason = athena.failure("SELECT * FROM events")
    assert reason.startswith("HIVE_BAD_DATA: ")
    assert f"s3://{athena.region.bucket}/{prefix}/a.parquet" in reason


def test_three_hundred_thousand_rows_stay_in_order(athena: Athena) -> None:
    query = """
SELECT x.n AS n, x.n * 0.5e0 AS half, CASE WHEN x.n % 3 = 0 THEN NULL ELSE 'user' || CAST(x.n AS varchar) END AS name
FROM UNNEST(sequence(1, 300)) AS y(m) CROSS JOIN UNNEST(sequence(y.m * 1000, y.m * 1000 + 999)) AS x(n)
ORDER BY x.n DESC
"""
    lines = io.StringIO(athena.text(query))
    assert next(lines) == '"n","half","name"\n'
    for number, line in zip(range(300_999, 999, -1), lines, strict=True):
        name = "" if number % 3 == 0 else f'"user{number}"'
        assert line == f'"{number}","{number / 2}",{name}\n'
