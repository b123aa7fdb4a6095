"""The forecast workflow's handlers: the plan and the SQL of a run, the messages, the consumer."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path

import boto3
import forecast_scale
import pyarrow as pa
import pytest
import sqlglot
from jsonschema import Draft202012Validator
from moto import mock_aws

from demo.lift import lift_sql
from functions.prepare_forecast.plan import (
    CAPPED_DAYS,
    HISTORIES,
    PUSHES,
    QUERIES,
    UNLOADED,
    contradictions,
    last_closed_date,
    plan_forecast,
    render_queries,
)
from functions.prepare_run.plan import SOURCES
from functions.shared.execution_input import InputRejected, load_schema, validated
from functions.shared.messages import MessageRejected, read_message
from functions.shared.network import Network
from visitcast.data.schedule import HISTORY_VISIT_DAYS
from visitcast.forecasting.correction import CLOSED_DATES
from visitcast.sending.job import message_lines
from visitcast.sending.pushes import WEEK
from visitcast.sending.zones import RECORD_DAYS

SCHEMA = load_schema("forecast")
SQL = Path(__file__).resolve().parents[2] / "sql"
EXECUTION = "arn:aws:states:eu-central-1:123456789012:execution:visitcast-forecast-dev:a"
MESSAGE = {
    "version": 2,
    "idempotency_key": "0" * 32,
    "campaign": "daily",
    "user_id": "u",
    "forecast_date": "2026-11-24",
    "send_at_utc": "2026-11-24T17:00:00Z",
    "send_at_local": "2026-11-24T18:00:00",
    "send_hour": 18,
    "arm": "best_hour",
    "chance": 0.4,
    "source": "model",
}
REPORT = {
    "version": 1,
    "idempotency_key": "0" * 32,
    "user_id": "u",
    "campaign": "daily",
    "forecast_date": "2026-11-24",
    "status": "opened",
    "reported_at": "2026-11-24T17:03:05Z",
}


def planned(key="", **given):
    filled = validated(given, SCHEMA, contradictions)
    return plan_forecast(
        filled,
        execution_id=EXECUTION,
        started_at="2026-11-23T16:00:00.123Z",
        bucket="a-bucket",
        network=Network(),
        kms_key_arn=key,
    )


def test_the_schema_is_one_and_its_defaults_keep_it():
    Draft202012Validator.check_schema(SCHEMA)
    assert list(Draft202012Validator(SCHEMA).iter_errors(validated({}, SCHEMA, contradictions))) == []


def test_a_run_forecasts_the_next_utc_date():
    run = planned()
    assert (run["ForecastDate"], run["AsOf"]) == ("2026-11-24", "2026-11-23T16:00:00Z")
    assert planned(AsOf="2026-02-27T23:59:59Z")["ForecastDate"] == "2026-02-28"
    assert planned(ForecastDate="2026-03-01")["ForecastDate"] == "2026-03-01"


def test_places_are_the_runs_own_and_no_prefix_of_one_another():
    run = planned()
    uris = sorted(run["Uris"].values())
    assert all(uri.startswith(f"s3://a-bucket/runs/{run['RunId']}/") for uri in uris)
    assert not any(later.startswith(earlier) for earlier, later in pairwise(uris))
    # Room for "-<attempt>-<8 characters>" in SageMaker's 63.
    assert all(len(name) <= 50 for key, name in run["Names"].items() if key.endswith("JobName"))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"ForecastDate": "2026-02-30"}, "ForecastDate: 2026-02-30 is not a date from 1990-01-01 to 2199-12-31"),
        ({"ForecastDate": "9999-12-31"}, "ForecastDate: 9999-12-31 is not a date from"),
        ({"ForecastDate": "0001-01-01"}, "ForecastDate: 0001-01-01 is not a date from"),
        ({"ForecastDate": "2026-11-24\n"}, "ForecastDate: '2026-11-24.n' is not a date"),
        ({"AsOf": "2026-13-45T99:99:99Z"}, "AsOf: 2026-13-45T99:99:99Z is not an instant from"),
        ({"AsOf": "2026-02-30T00:00:00Z"}, "AsOf: 2026-02-30T00:00:00Z is not an instant from"),
        ({"AsOf": "2026-02-20T24:00:00Z"}, "AsOf: 2026-02-20T24:00:00Z is not an instant from"),
        ({"AsOf": "0001-01-01T00:00:00Z"}, "AsOf: 0001-01-01T00:00:00Z is not an instant from"),
        ({"Campaign": {"Name": "daily\n"}}, "Campaign.Name"),
        ({"ForecastDate": "tomorrow"}, "ForecastDate"),
        ({"Campaign": {"Control": {"GlobalBestHourShare": 0.7, "RandomHourShare": 0.7}}}, "sum to more than 1"),
        (
            {"Campaign": {"Control": {"NoPushShare": 0.95, "GlobalBestHourShare": 0, "RandomHourShare": 0.1}}},
            "sum to more than 1",
        ),
        ({"Campaign": {"LargestHourShare": 0.08}}, "sum to more than LargestHourShare"),
        ({"Campaign": {"LargestHourShare": 0}}, "Campaign.LargestHourShare"),
        ({"Campaign": {"LargestHourShare": float("nan")}}, "Campaign.LargestHourShare: nan"),
        ({"Campaign": {"Control": {"NoPushShare": float("nan")}}}, "Campaign.Control.NoPushShare: nan"),
        ({"Campaign": {"MinimumGapHours": float("inf")}}, "Campaign.MinimumGapHours: inf"),
        ({"Campaign": {"MostPushesADay": 0}}, "Campaign.MostPushesADay"),
        ({"Campaign": {"Weekdays": []}}, "Campaign.Weekdays"),
        ({"Campaign": {"Weekdays": ["Mon"]}}, "Campaign.Weekdays"),
        ({"Campaign": {"DatesWithoutSends": ["2026-02-30"]}}, "Campaign.DatesWithoutSends: 2026-02-30 is not a date"),
        ({"Campaign": {"DatesWithoutSends": ["24.12."]}}, "Campaign.DatesWithoutSends"),
        ({"Campaign": {"FallbackHour": 24}}, "Campaign.FallbackHour"),
        (
            {"Campaign": {"SendWindow": {"From": 23, "Until": 5}}},
            r"SendWindow \(23 to 5\) and QuietHours \(22 to 7\) leave no hour for a push; QuietHours: null",
        ),
        ({"Campaign": {"QuietHours": {"From": 0, "Until": 24}}}, "leave no hour for a push"),
        ({"AsOf": "yesterday"}, "AsOf: 'yesterday' is not a UTC instant such as"),
        ({"Campain": {}}, "input: there is no key 'Campain', did you mean 'Campaign'?"),
        ({"Transform": {"MaxConcurrentTransforms": 50, "MaxPayloadInMB": 6}}, "SageMaker refuses"),
        (
            {"Transform": {"InstanceType": "ml.c7g.xlarge"}},
            r"Transform\.InstanceType: ml\.c7g\.xlarge has an ARM",
        ),
        ({"OnDrift": "ignore"}, "OnDrift"),
        ({"Unknown": 1}, "Unknown"),
    ],
)
def test_an_input_that_cannot_be_is_rejected(given, reason):
    with pytest.raises(InputRejected, match=reason):
        planned(**given)


def test_the_volumes_of_all_jobs_have_the_stacks_key_where_sagemaker_takes_one():
    disk = {"InstanceType": "ml.m5d.xlarge"}
    for given, key in (({}, "arn"), (dict.fromkeys(("Requests", "Transform", "Plan"), disk), None)):
        run = planned(key="arn", **given)
        clusters = run["Requests"]["Cluster"], run["Transform"]["Resources"], run["Plan"]["Cluster"]
        assert [cluster.get("VolumeKmsKeyId") for cluster in clusters] == [key] * 3
        assert [cluster["InstanceCount"] for cluster in clusters] == [1, 1, 1]


def test_queries_are_whole_sql_with_the_runs_dates():
    run = planned(Lift={"ResponseHours": 3})
    queries = {query["Name"]: query["Sql"] for query in render_queries(run, "visitcast_dev", SQL)}
    assert tuple(queries) == QUERIES
    for sql in queries.values():
        assert "${" not in sql
        # The workflow fills in the runs whose plans stand, by States.Format.
        assert re.findall(r"[{}\\]+", sql) == (["{}"] if sql == queries[PUSHES] else [])
        sql = sql.replace("{}", "'none'")
        body = sql[sql.index("UNLOAD (") + 8 : sql.rindex(")\nTO ")] if "UNLOAD" in sql else sql
        sqlglot.parse_one(body, dialect="athena")
    # States hand the plan on; the report and the list of files come to it.
    assert len(json.dumps({**run, "Queries": queries})) < forecast_scale.BYTES_OF_A_RUN / 2
    histories = queries["histories"]
    assert f"days_back <= {HISTORY_VISIT_DAYS}" in histories
    assert f"visit_date >= '{date(2026, 11, 24) - timedelta(days=RECORD_DAYS)}'" in histories
    assert "dt <= '2026-11-23' AND event_time < TIMESTAMP '2026-11-23 16:00:00'" in histories
    assert f"'s3://a-bucket/runs/{run['RunId']}/histories/unloaded/'" in histories
    assert "date_add('hour', 3, closed.send_at_utc)" in queries["responses"]
    assert "<= TIMESTAMP '2026-11-23 16:00:00'" in queries["responses"]
    # The last date judged is over everywhere when a run starts on the eve of its forecast date.
    assert "dt >= '2026-11-16'" in queries["outcomes"]
    assert "dt BETWEEN '2026-10-26' AND '2026-11-22'" in queries["realised_visits"]
    assert (date(2026, 11, 22) - date(2026, 10, 26)).days + 1 == CLOSED_DATES


@pytest.mark.parametrize(
    ("day", "as_of", "closed"),
    [
        pytest.param("2026-11-24", "2026-11-23T16:00:00", "2026-11-22", id="schedule"),
        pytest.param("2026-11-24", "2026-11-23T11:59:59", "2026-11-21", id="a second before noon"),
        pytest.param("2026-11-24", "2026-11-23T12:00:00", "2026-11-22", id="noon"),
        pytest.param("2026-11-24", "2027-01-01T00:00:00", "2026-11-23", id="a past date"),
        pytest.param("2026-12-24", "2026-11-23T12:00:00", "2026-11-22", id="a distant date"),
    ],
)
def test_a_date_is_closed_when_it_is_over_west_of_all(day, as_of, closed):
    instant = datetime.fromisoformat(as_of).replace(tzinfo=UTC)
    found = last_closed_date(date.fromisoformat(day), instant)
    assert found == date.fromisoformat(closed)
    over = datetime.combine(found + timedelta(days=1), datetime.min.time(), timezone(timedelta(hours=-12)))
    assert over <= instant


def test_make_lift_asks_the_query_of_the_workflow():
    run = planned(
        ForecastDate="2026-11-24",
        Campaign={"Name": "spring", "Control": {"Salt": "it's salt"}},
        Lift={"ResponseHours": 3, "WindowDays": 20},
    )
    (own,) = [query["Sql"] for query in render_queries(run, "visitcast_dev", SQL) if query["Name"] == "responses"]
    as_of = datetime(2026, 11, 23, 16, tzinfo=UTC)
    of_demo = lift_sql("visitcast_dev", run["Lift"], date(2026, 11, 24), as_of)
    parsed = [sqlglot.parse_one(text, dialect="athena").sql(comments=False) for text in (own, of_demo)]
    assert parsed[0] == parsed[1]


def test_pushes_are_read_of_every_week_that_the_cap_may_hold_in():
    assert CAPPED_DAYS == WEEK - 1


def test_every_sql_file_is_run():
    # The others are included.
    included = {"last_visit_days", "unpushed_forecasts"}
    assert {file.stem for file in (SQL / "forecast").glob("*.sql")} == {*QUERIES, *included} - {HISTORIES}
    included = {"own_events.sql", "visits.sql", "visits_without_pushes.sql"}
    training = (SQL.parent / "statemachine/train.asl.json").read_text(encoding="utf-8")
    counts = set(re.findall(r"/(\w+\.sql)", training))
    assert {file.name for file in SQL.glob("*.sql")} == {name for name, _ in SOURCES.values()} | included | counts


def test_states_read_the_results_of_their_queries():
    """JSONPath finds a query's result by its position only."""
    machine = json.loads((SQL.parent / "statemachine/forecast.asl.json").read_text(encoding="utf-8"))
    found = {name: re.findall(r"\$\.queries\[(\d+)\]", json.dumps(state)) for name, state in machine["States"].items()}
    read = {name: [QUERIES[int(number)] for number in numbers] for name, numbers in found.items() if numbers}
    assert read == {"Plan sends": ["outcomes", "realised_visits"], "Measure lift": ["responses"]}
    assert {name for names in read.values() for name in names} == set(QUERIES) - set(UNLOADED) - {PUSHES}


def test_what_the_job_writes_is_what_the_queue_takes():
    sends = pa.table(
        {
            "user_id": ['ü "quoted"'],
            "arm": ["random_hour"],
            "send_hour": pa.array([0], pa.int8()),
            "send_at_utc": pa.array([datetime(2026, 11, 24, 0, 15)], pa.timestamp("ms")),
            "send_at_local": pa.array([datetime(2026, 11, 24, 6, 0)], pa.timestamp("ms")),
            "chance": pa.array([1 / 3], pa.float32()),
            "source": ["prior"],
            "idempotency_key": ["ab" * 16],
        }
    )
    (line,) = message_lines(sends, "autumn", "2026-11-24")
    assert read_message(line)["user_id"] == 'ü "quoted"'


@pytest.mark.parametrize(
    "spoiled",
    [
        "{",
        json.dumps([]),
        json.dumps({**MESSAGE, "extra": 1}),
        json.dumps({**MESSAGE, "send_at_utc": "2026-11-24 17:00"}),
        json.dumps({**MESSAGE, "chance": 1.1}),
        json.dumps({**MESSAGE, "idempotency_key": "x"}),
        json.dumps({name: value for name, value in MESSAGE.items() if name != "user_id"}),
        json.dumps({**MESSAGE, "arm": "no_push"}),
        json.dumps({**REPORT, "status": "lost"}),
        json.dumps({**REPORT, "reported_at": "2026-11-24"}),
    ],
    ids=["no JSON", "no object", "extra", "time", "chance", "key", "missing", "withheld", "status", "report's time"],
)
def test_a_message_that_breaks_the_schema_is_rejected(spoiled):
    with pytest.raises(MessageRejected):
        read_message(spoiled)


@pytest.mark.parametrize("count", [0, 1, 10, 11, 25])
def test_batches_hold_every_message_once(count):
    from functions.hand_over.app import batches

    messages = [(str(n), "body") for n in range(count)]
    cut = list(batches(messages))
    assert [entry for batch in cut for entry in batch] == messages
    assert all(len(batch) <= 10 for batch in cut)


@dataclass
class Context:
    function_name: str = "push_consumer"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:push_consumer"
    aws_request_id: str = "1"

    def get_remaining_time_in_millis(self):
        return 60_000


@pytest.fixture
def consumer(monkeypatch):
    """The consumer with a sender that records its messages and refuses the user called no."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("POWERTOOLS_TRACE_DISABLED", "true")
    with mock_aws():
        boto3.client("dynamodb").create_table(
            TableName="sent",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "idempotency_key", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "idempotency_key", "KeyType": "HASH"}],
        )
        from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer

        from functions.push_consumer import app

        monkeypatch.setenv("BUCKET_NAME", "a-bucket")
        monkeypatch.setattr(app, "s3", boto3.client("s3"))
        app.s3.create_bucket(Bucket="a-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        sent = []

        def sender(push):
            if push["user_id"] == "no":
                raise OSError("not today")
            sent.append(push["user_id"])

        monkeypatch.setattr(app, "send_with", sender)
        monkeypatch.setattr(app.seen, "client", boto3.client("dynamodb"))
        assert isinstance(app.seen, DynamoDBPersistenceLayer)
        yield app, sent
        boto3.client("dynamodb").delete_table(TableName="sent")  # within another mock, moto keeps it


def records(*messages):
    return {
        "Records": [
            {"messageId": str(n), "body": body if isinstance(body, str) else json.dumps(body), "eventSource": "aws:sqs"}
            for n, body in enumerate(messages)
        ]
    }


def test_a_push_that_comes_twice_is_sent_once(consumer):
    app, sent = consumer
    first, second = {**MESSAGE, "user_id": "a"}, {**MESSAGE, "user_id": "b", "idempotency_key": "1" * 32}
    assert app.handler(records(first, second), Context()) == {"batchItemFailures": []}
    assert app.handler(records(second, first), Context()) == {"batchItemFailures": []}
    assert sent == ["a", "b"]


def reports_in(app):
    """Return the table's files, by their keys without their names."""
    found = {}
    for item in app.s3.list_objects_v2(Bucket="a-bucket").get("Contents", []):
        lines = app.s3.get_object(Bucket="a-bucket", Key=item["Key"])["Body"].read().decode().splitlines()
        found.setdefault(item["Key"].rpartition("/")[0], []).extend(map(json.loads, lines))
    return found


def test_reports_of_a_batch_become_files_and_only_broken_ones_come_again(consumer):
    app, sent = consumer
    opted_out = {**REPORT, "user_id": "ü", "status": "opted_out", "reported_at": "2026-11-25T00:00:00Z"}
    batch = records(REPORT, {**MESSAGE, "user_id": "d"}, opted_out, {**REPORT, "extra": 1}, {**REPORT, "user_id": "v"})
    for _ in range(2):  # the second delivery writes the same files
        assert app.handler(batch, Context()) == {"batchItemFailures": [{"itemIdentifier": "3"}]}
    assert sent == ["d"]
    assert reports_in(app) == {
        "forecasts/push_reports/status=opened/dt=2026-11-24": [REPORT, {**REPORT, "user_id": "v"}],
        "forecasts/push_reports/status=opted_out/dt=2026-11-25": [opted_out],
    }


def test_while_reports_cannot_be_written_nothing_is_sent(consumer, monkeypatch):
    app, sent = consumer
    monkeypatch.setenv("BUCKET_NAME", "no-such-bucket")
    with pytest.raises(app.s3.exceptions.NoSuchBucket):
        app.handler(records(MESSAGE, REPORT), Context())
    assert sent == []


def test_a_push_that_fails_comes_again_alone(consumer):
    app, sent = consumer
    refused = {**MESSAGE, "user_id": "no", "idempotency_key": "2" * 32}
    good = {**MESSAGE, "user_id": "c", "idempotency_key": "3" * 32}
    found = app.handler(records(refused, good, "no message"), Context())
    assert [failure["itemIdentifier"] for failure in found["batchItemFailures"]] == ["0", "2"]
    assert sent == ["c"]
    # Its key was not kept: the next delivery tries anew.
    again = app.handler(records({**refused, "user_id": "yes"}, good), Context())
    assert again == {"batchItemFailures": []}
    assert sent == ["c", "yes"]
