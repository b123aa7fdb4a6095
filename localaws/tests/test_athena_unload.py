"""UNLOAD: its files have the rows of the query, under one prefix for each partition."""

from __future__ import annotations

import io
import uuid
from typing import Any

import pyarrow.parquet as pq
import pytest
from athena_queries import Athena
from botocore.exceptions import ClientError

USERS = """
SELECT 'u' || CAST(n AS varchar) AS user_id, ARRAY[date '2026-01-01', CAST(NULL AS date)] AS days,
       sum(n) AS total, mod(crc32(to_utf8('u' || CAST(n AS varchar))), 4) AS bucket
FROM UNNEST(sequence(1, 100)) AS t(n) GROUP BY n
"""


def destination(athena: Athena) -> str:
    return f"s3://{athena.region.bucket}/unloaded/{uuid.uuid4().hex}/"


def unload(athena: Athena, query: str, to: str, options: str = "partitioned_by = ARRAY['bucket']") -> dict[str, Any]:
    statement = f"-- with (a) comment\nUNLOAD ({query}) TO '{to}' WITH (format = 'PARQUET', {options})"
    return athena.end_of(athena.start(statement))


def rows(athena: Athena, uri: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.ParquetFile(io.BytesIO(athena.region.get(uri))).read().to_pylist()
    return found


def test_rows_lie_in_the_files_of_their_partition(athena: Athena) -> None:
    to = destination(athena)
    ended = unload(athena, USERS, to)
    assert ended["Status"]["State"] == "SUCCEEDED", ended["Status"]
    assert (ended["StatementType"], ended["SubstatementType"]) == ("DML", "UNLOAD")

    manifest = athena.region.get(ended["Statistics"]["DataManifestLocation"]).decode().split()
    keys = athena.region.keys(to.removeprefix(f"s3://{athena.region.bucket}/"))
    assert sorted(manifest) == [f"s3://{athena.region.bucket}/{key}" for key in keys]
    # As on Athena the files have no extension.
    assert all("." not in uri.removeprefix(to) for uri in manifest)

    unloaded = [
        row | {"bucket": uri.removeprefix(to).partition("/")[0]} for uri in manifest for row in rows(athena, uri)
    ]
    selected = [line.split('","') for line in athena.text(f"SELECT user_id, total, bucket FROM ({USERS})").splitlines()]
    expected = sorted(
        (user.strip('"'), int(total), f"bucket={bucket.strip(chr(34))}") for user, total, bucket in selected[1:]
    )
    assert sorted((row["user_id"], row["total"], row["bucket"]) for row in unloaded) == expected
    assert len(expected) == 100
    assert {str(row["days"]) for row in unloaded} == {"[datetime.date(2026, 1, 1), None]"}


@pytest.mark.parametrize("options", ["compression = 'SNAPPY'", "compression = 'ZSTD'"])
def test_without_partitions_the_files_lie_side_by_side(athena: Athena, options: str) -> None:
    to = destination(athena)
    ended = unload(athena, "SELECT 7 AS n, CAST(NULL AS varchar) AS nothing", to, options)
    assert ended["Status"]["State"] == "SUCCEEDED", ended["Status"]
    (uri,) = athena.region.get(ended["Statistics"]["DataManifestLocation"]).decode().split()
    assert "/" not in uri.removeprefix(to)
    assert rows(athena, uri) == [{"n": 7, "nothing": None}]


def test_a_destination_that_holds_objects_is_refused_and_left_alone(athena: Athena) -> None:
    to = destination(athena)
    kept = athena.region.put(f"{to.removeprefix(f's3://{athena.region.bucket}/')}kept", "before")
    status = unload(athena, USERS, to)["Status"]
    assert status["State"] == "FAILED"
    assert status["StateChangeReason"].startswith("HIVE_PATH_ALREADY_EXISTS")
    assert athena.region.get(kept) == b"before"
    assert len(athena.region.keys(to.removeprefix(f"s3://{athena.region.bucket}/"))) == 1


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        pytest.param("SELECT 1 AS bucket, 2 AS n", "HIVE_COLUMN_ORDER_MISMATCH", id="partition column is not the last"),
        pytest.param(
            "SELECT n, n AS bucket FROM UNNEST(sequence(1, 101)) AS t(n)", "HIVE_TOO_MANY_OPEN_PARTITIONS", id="101"
        ),
        pytest.param("SELECT nothing AS bucket", "COLUMN_NOT_FOUND", id="unknown column"),
    ],
)
def test_failed_unloads_write_nothing(athena: Athena, query: str, reason: str) -> None:
    to = destination(athena)
    status = unload(athena, query, to)["Status"]
    assert status["State"] == "FAILED"
    assert status["StateChangeReason"].startswith(reason)
    assert athena.region.keys(to.removeprefix(f"s3://{athena.region.bucket}/")) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UNLOAD SELECT 1 TO 's3://b/p/' WITH (format = 'PARQUET')",
        "UNLOAD (SELECT 1) WITH (format = 'PARQUET')",
        "UNLOAD (SELECT 1) TO 's3://b/p/'",
        "UNLOAD (SELECT 1) TO 's3://b/p/' WITH (format = 'AVRO')",
        "UNLOAD (SELECT FROM) TO 's3://b/p/' WITH (format = 'PARQUET')",
        "UNLOAD (SELECT 1) TO 's3://b/p/' WITH (format = 'PARQUET', colour = 'red')",
    ],
)
def test_malformed_unloads_are_refused_at_the_start(athena: Athena, statement: str) -> None:
    with pytest.raises(ClientError, match="InvalidRequestException"):
        athena.start(statement)
