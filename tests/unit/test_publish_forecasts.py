"""The handler that points partitions to a run's files, and keeps the list of plans that stand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from handlers_in_moto import BUCKET, handler_module

from functions.shared.standing_plans import KEPT_DAYS, KEY, NOTHING, run_of, with_plan

DATABASE = "visitcast_dev"
TABLES = {"send_plans": ("dt", "campaign"), "sends": ("dt", "campaign"), "visit_forecasts": ("dt",)}
STORAGE: Any = {
    "Columns": [{"Name": "user_id", "Type": "string"}],
    "Location": f"s3://{BUCKET}/forecasts/",
    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
}


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The handler's module in a region with the tables and the reports of two runs."""
    monkeypatch.setenv("DATABASE_NAME", DATABASE)
    monkeypatch.setenv("BUCKET_NAME", BUCKET)
    with handler_module(monkeypatch, "publish_forecasts", "s3", "glue") as app:
        app.glue.create_database(DatabaseInput={"Name": DATABASE})
        for table, keys in TABLES.items():
            app.glue.create_table(
                DatabaseName=DATABASE,
                TableInput={
                    "Name": table,
                    "StorageDescriptor": STORAGE,
                    "PartitionKeys": [{"Name": key, "Type": "string"} for key in keys],
                },
            )
        for run in ("run-1", "run-2", "run-3"):
            note = f"Left out by {run}."
            report = {
                "message_files": [f"of {run}"],
                "drift": {"alarm": run == "run-2"},
                "left_out": {"note": note},
                "notes": [note, f"Moved by {run}."],
            }
            app.s3.put_object(Bucket=BUCKET, Key=f"runs/{run}/report/profile.json", Body=run.encode())
            app.s3.put_object(Bucket=BUCKET, Key=f"runs/{run}/report/report.json", Body=json.dumps(report).encode())
        app.s3.put_object(Bucket=BUCKET, Key=KEY, Body=json.dumps(NOTHING).encode())
        yield app


def standing(app: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(app.s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read())
    return found


def publish(
    app: Any,
    run: str,
    day: str = "2026-11-24",
    *,
    campaign: str = "daily",
    hand_over: bool = False,
    version: int | None = None,
) -> dict[str, Any]:
    """Publish a run that has looked at the list of plans as it is now, or at an older `version`."""
    event = {
        "RunId": run,
        "ForecastDate": day,
        "Campaign": campaign,
        "HandOver": hand_over,
        "Version": standing(app)["version"] if version is None else version,
        "ForecastsUri": f"s3://{BUCKET}/runs/{run}/forecasts",
        "ReportUri": f"s3://{BUCKET}/runs/{run}/report",
    }
    found: dict[str, Any] = app.handler.__wrapped__(event, None)
    return found


def partitions(app: Any, table: str) -> dict[str, str]:
    found = app.glue.get_partitions(DatabaseName=DATABASE, TableName=table)["Partitions"]
    return {"/".join(partition["Values"]): partition["StorageDescriptor"]["Location"] for partition in found}


def profiles(app: Any) -> dict[str, str]:
    listed = app.s3.list_objects_v2(Bucket=BUCKET, Prefix="forecasts/profiles/").get("Contents", [])
    return {item["Key"]: app.s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read().decode() for item in listed}


def test_a_first_run_makes_the_partitions_and_keeps_the_profile(app: Any) -> None:
    assert publish(app, "run-1")["Tables"] == dict.fromkeys(TABLES, "created")
    assert partitions(app, "visit_forecasts") == {"2026-11-24": f"s3://{BUCKET}/runs/run-1/forecasts/"}
    assert partitions(app, "send_plans") == {"2026-11-24/daily": f"s3://{BUCKET}/runs/run-1/plans/"}
    recorded = f"s3://{BUCKET}/forecasts/sends/dt=2026-11-24/campaign=daily/"
    assert partitions(app, "sends") == {"2026-11-24/daily": recorded}
    assert standing(app) == NOTHING
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


def test_two_campaigns_of_a_date_have_their_plans_side_by_side(app: Any) -> None:
    publish(app, "run-1", campaign="alpha", hand_over=True)
    publish(app, "run-2", campaign="beta", hand_over=True)
    assert partitions(app, "send_plans") == {
        "2026-11-24/alpha": f"s3://{BUCKET}/runs/run-1/plans/",
        "2026-11-24/beta": f"s3://{BUCKET}/runs/run-2/plans/",
    }
    assert standing(app)["runs"] == "'run-1', 'run-2'"


@pytest.mark.parametrize("hand_over", [True, False])
def test_a_plan_that_stands_is_published_and_handed_over_instead_of_another(app: Any, hand_over: bool) -> None:
    first = publish(app, "run-1", hand_over=True)
    assert first["MessagesPrefix"] == "runs/run-1/messages"
    assert first["SendsPrefix"] == "forecasts/sends/dt=2026-11-24/campaign=daily"
    before = standing(app)
    # A version from before the first plan does not matter: no other plan is going to stand.
    found = publish(app, "run-2", hand_over=hand_over, version=0)
    assert {name: found[name] for name in ("PlanRunId", "MessagesPrefix", "SendsPrefix")} == {
        name: first[name] for name in ("PlanRunId", "MessagesPrefix", "SendsPrefix")
    }
    # The plan is the first run's; what the second has found of drift, and whom it left out, is its own.
    assert found["Report"] == {
        "message_files": ["of run-1"],
        "drift": {"alarm": True},
        "left_out": {"note": "Left out by run-2."},
        "notes": ["Left out by run-2.", "Moved by run-1."],
    }
    assert partitions(app, "send_plans") == {"2026-11-24/daily": f"s3://{BUCKET}/runs/run-1/plans/"}
    assert partitions(app, "visit_forecasts") == {"2026-11-24": f"s3://{BUCKET}/runs/run-2/forecasts/"}
    assert standing(app) == before


def test_reports_of_an_earlier_release_name_nobody(app: Any) -> None:
    old = {"drift": {"alarm": False}, "notes": ["Moved."]}
    assert app.about_forecasts(old, old) == {"drift": {"alarm": False}, "left_out": {}, "notes": ["Moved."]}


def test_of_two_runs_at_the_same_time_one_plans_again(app: Any) -> None:
    publish(app, "run-1", campaign="alpha", hand_over=True, version=0)
    with pytest.raises(app.PlansChanged):
        publish(app, "run-2", campaign="beta", hand_over=True, version=0)
    assert list(partitions(app, "send_plans")) == ["2026-11-24/alpha"]
    publish(app, "run-2", campaign="beta", hand_over=True)
    assert [plan["run"] for plan in standing(app)["plans"]] == ["run-1", "run-2"]


def test_of_two_writes_at_the_same_time_one_plans_again(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another run's plan comes between reading the list and writing it."""
    write = app.s3.put_object

    def late(**request: Any) -> Any:
        other = with_plan(standing(app), "2026-11-24", "alpha", "run-1", date(2026, 11, 23))
        write(Bucket=BUCKET, Key=KEY, Body=json.dumps(other).encode())
        return write(**request)

    monkeypatch.setattr(app.s3, "put_object", late)
    with pytest.raises(app.PlansChanged):
        publish(app, "run-2", campaign="beta", hand_over=True)
    assert [plan["run"] for plan in standing(app)["plans"]] == ["run-1"]


def test_a_retry_after_its_plan_stands_goes_on(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(app, "point", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            publish(app, "run-1", hand_over=True, version=0)
    assert publish(app, "run-1", hand_over=True, version=0)["PlanRunId"] == "run-1"
    assert standing(app)["version"] == 1
    assert partitions(app, "send_plans") == {"2026-11-24/daily": f"s3://{BUCKET}/runs/run-1/plans/"}


def test_plans_that_no_gap_or_cap_concerns_any_more_leave_the_list() -> None:
    today = date(2026, 11, 23)
    old, recent = (f"{today - timedelta(days=days)}" for days in (KEPT_DAYS + 1, KEPT_DAYS))
    found: Any = NOTHING
    for number, day in enumerate((old, recent, f"{today + timedelta(days=1)}")):
        found = with_plan(found, day, "daily", f"run-{number}", today)
    assert [run_of(found, day, "daily") for day in (old, recent)] == [None, "run-1"]
    assert found["runs"] == "'run-1', 'run-2'"
    # A run for a date in the past removes nothing of today.
    past = with_plan(found, "2020-01-01", "daily", "run-3", today)
    assert past["runs"] == "'run-1', 'run-2', 'run-3'"
