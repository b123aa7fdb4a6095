"""The handler that points a date's partitions to a run's files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from handlers_in_moto import BUCKET, handler_module

DATABASE = "visitcast_dev"
TABLES = ("send_plans", "visit_forecasts")
STORAGE: Any = {
    "Columns": [{"Name": "user_id", "Type": "string"}],
    "Location": f"s3://{BUCKET}/forecasts/",
    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
}


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The handler's module in a region with the tables and the reports of two runs."""
    monkeypatch.setenv("DATABASE_NAME", DATABASE)
    with handler_module(monkeypatch, "publish_forecasts", "s3", "glue") as app:
        app.glue.create_database(DatabaseInput={"Name": DATABASE})
        for table in TABLES:
            app.glue.create_table(
                DatabaseName=DATABASE,
                TableInput={
                    "Name": table,
                    "StorageDescriptor": STORAGE,
                    "PartitionKeys": [{"Name": "dt", "Type": "string"}],
                },
            )
        for run in ("run-1", "run-2"):
            app.s3.put_object(Bucket=BUCKET, Key=f"runs/{run}/report/profile.json", Body=run.encode())
        yield app


def publish(app: Any, run: str, day: str = "2026-11-24") -> dict[str, Any]:
    root = f"s3://{BUCKET}/runs/{run}"
    event = {
        "ForecastDate": day,
        "Locations": {"visit_forecasts": f"{root}/forecasts", "send_plans": f"{root}/plans"},
        "ReportUri": f"{root}/report",
    }
    found: dict[str, Any] = app.handler.__wrapped__(event, None)
    return found


def partitions(app: Any, table: str) -> dict[str, str]:
    found = app.glue.get_partitions(DatabaseName=DATABASE, TableName=table)["Partitions"]
    return {partition["Values"][0]: partition["StorageDescriptor"]["Location"] for partition in found}


def profiles(app: Any) -> dict[str, str]:
    listed = app.s3.list_objects_v2(Bucket=BUCKET, Prefix="forecasts/profiles/").get("Contents", [])
    return {item["Key"]: app.s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read().decode() for item in listed}


def test_a_first_run_makes_the_partitions_and_keeps_the_profile(app: Any) -> None:
    assert publish(app, "run-1")["Tables"] == dict.fromkeys(TABLES, "created")
    assert partitions(app, "visit_forecasts") == {"2026-11-24": f"s3://{BUCKET}/runs/run-1/forecasts/"}
    assert partitions(app, "send_plans") == {"2026-11-24": f"s3://{BUCKET}/runs/run-1/plans/"}
    assert profiles(app) == {"forecasts/profiles/dt=2026-11-24.json": "run-1"}
    # Columns and format are the table's own.
    (made,) = app.glue.get_partitions(DatabaseName=DATABASE, TableName="send_plans")["Partitions"]
    assert made["StorageDescriptor"]["Columns"] == STORAGE["Columns"]
    assert made["StorageDescriptor"]["SerdeInfo"] == STORAGE["SerdeInfo"]


def test_a_date_run_again_has_one_partition_and_it_is_the_new_one(app: Any) -> None:
    publish(app, "run-1")
    assert publish(app, "run-2")["Tables"] == dict.fromkeys(TABLES, "replaced")
    assert partitions(app, "visit_forecasts") == {"2026-11-24": f"s3://{BUCKET}/runs/run-2/forecasts/"}
    assert profiles(app) == {"forecasts/profiles/dt=2026-11-24.json": "run-2"}


def test_a_retry_changes_nothing(app: Any) -> None:
    publish(app, "run-1")
    before = [partitions(app, table) for table in TABLES], profiles(app)
    publish(app, "run-1")
    assert ([partitions(app, table) for table in TABLES], profiles(app)) == before


def test_another_date_leaves_the_others_as_they_are(app: Any) -> None:
    publish(app, "run-1", "2026-11-23")
    publish(app, "run-2", "2026-11-24")
    assert partitions(app, "visit_forecasts") == {
        "2026-11-23": f"s3://{BUCKET}/runs/run-1/forecasts/",
        "2026-11-24": f"s3://{BUCKET}/runs/run-2/forecasts/",
    }


def test_a_table_that_is_gone_fails_before_any_profile_is_kept(app: Any) -> None:
    app.glue.delete_table(DatabaseName=DATABASE, Name="visit_forecasts")
    with pytest.raises(ClientError, match="EntityNotFoundException"):
        publish(app, "run-1")
    assert profiles(app) == {}
