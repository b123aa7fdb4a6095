"""Events in the bucket: complete, by UTC date, and never lost half-way."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from demo.upload import partition_files, replace_events

BUCKET = "the-bucket"


def events(*rows: tuple[str, datetime]) -> pa.Table:
    return pa.table(
        {
            "user_id": pa.array([user for user, _ in rows], pa.string()),
            "event_time": pa.array([time for _, time in rows], pa.timestamp("ms", tz="UTC")),
            "utc_offset_minutes": pa.array([0] * len(rows), pa.int16()),
            "page_type": pa.array([1] * len(rows), pa.int8()),
            "platform": pa.array(["ios"] * len(rows), pa.string()),
        }
    )


def at(day: int, hour: int = 12, minute: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        yield client


def keys(s3: object) -> list[str]:
    return [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c"]),
            st.datetimes(datetime(1969, 12, 30), datetime(1970, 1, 5), timezones=st.just(UTC)),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_files_hold_every_event_once_under_its_utc_date(rows: list[tuple[str, datetime]]) -> None:
    rows = [(user, time.replace(microsecond=0)) for user, time in rows]
    found = []
    for key, body in partition_files(events(*rows)):
        table = pq.read_table(io.BytesIO(body))
        assert table.schema.field("event_time").type == pa.timestamp("ms")
        times = [time.replace(tzinfo=UTC) for time in table["event_time"].to_pylist()]
        assert {f"events/dt={time:%Y-%m-%d}" for time in times} == {key.rpartition("/")[0]}
        part = list(zip(table["user_id"].to_pylist(), times, strict=True))
        assert part == sorted(part)
        found += part
    assert sorted(found) == sorted(rows)


def test_new_events_replace_the_old_ones_and_nothing_else(s3: object) -> None:
    s3.put_object(Bucket=BUCKET, Key="runs/1/visits.csv", Body=b"")
    shares: list[float] = []
    assert (
        replace_events(
            s3, BUCKET, dict(partition_files(events(("a", at(1)), ("a", at(2)), ("b", at(2))))), shares.append
        )
        == 2
    )
    first = keys(s3)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    replace_events(s3, BUCKET, dict(partition_files(events(("a", at(2)), ("b", at(2)), ("b", at(3))))), shares.append)
    second = keys(s3)
    assert [key.split("/")[1] for key in second[:-1]] == ["dt=2026-03-02", "dt=2026-03-03"]
    assert len(set(first) & set(second)) == 2  # the unchanged day keeps its file; the run keeps its own


def test_a_repeated_upload_puts_nothing(s3: object, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_events(s3, BUCKET, dict(partition_files(events(("a", at(1))))), lambda _: None)
    monkeypatch.setattr(s3, "put_object", None)
    assert replace_events(s3, BUCKET, dict(partition_files(events(("a", at(1))))), lambda _: None) == 1


@pytest.mark.parametrize("fails_at", [1, 3])
def test_a_failed_upload_leaves_the_old_events(s3: object, monkeypatch: pytest.MonkeyPatch, fails_at: int) -> None:
    replace_events(s3, BUCKET, dict(partition_files(events(("a", at(1)), ("a", at(9))))), lambda _: None)
    before = keys(s3)
    put = s3.put_object
    calls: list[str] = []

    def failing(**parameters: object) -> object:
        calls.append(str(parameters["Key"]))
        if len(calls) >= fails_at:
            raise ClientError({"Error": {"Code": "SlowDown", "Message": "no"}}, "PutObject")
        return put(**parameters)

    monkeypatch.setattr(s3, "put_object", failing)
    with pytest.raises(ClientError, match="SlowDown"):
        replace_events(
            s3, BUCKET, dict(partition_files(events(*(("b", at(day)) for day in range(1, 9))))), lambda _: None
        )
    assert keys(s3) == before
