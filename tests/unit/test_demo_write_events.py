"""Events of any kind become files that Athena can read."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from moto import mock_aws

from demo.write_events import main

ROWS = pd.DataFrame(
    {
        "user_id": ["a", "b", "a"],
        "event_time": pd.to_datetime(["2026-11-20T23:59:00Z", "2026-11-21T00:01:00Z", "2026-11-21T08:00:00Z"]),
        "utc_offset_minutes": [60, -300, 60],  # int64, as pandas writes whole numbers
        "page_type": [1, 2, 4],
        "platform": ["ios", "web", "ios"],
    }
)
# The table's smallint and tinyint are INT32 in Parquet; Athena refuses INT64 for them (HIVE_BAD_DATA).
TYPES = {
    "user_id": pa.string(),
    "event_time": pa.timestamp("ms"),
    "utc_offset_minutes": pa.int16(),
    "page_type": pa.int8(),
    "platform": pa.string(),
}


@pytest.mark.parametrize("name", ["events.parquet", "events.csv"])
def test_a_file_becomes_one_of_the_tables_types_for_each_date(tmp_path: Path, name: str) -> None:
    source, folder = tmp_path / name, tmp_path / "events"
    ROWS.to_parquet(source) if name.endswith("parquet") else ROWS.to_csv(source, index=False)
    assert main(["--events", str(source), "--output", str(folder)]) == 0
    assert sorted(file.parent.name for file in folder.glob("*/*.parquet")) == ["dt=2026-11-20", "dt=2026-11-21"]
    files = [pq.ParquetFile(file) for file in folder.glob("*/*.parquet")]
    assert sum(file.metadata.num_rows for file in files) == len(ROWS)
    for file in files:
        assert dict(zip(file.schema_arrow.names, file.schema_arrow.types, strict=True)) == TYPES
        physical = {column.name: column.physical_type for column in map(file.schema.column, range(len(TYPES)))}
        assert (physical["utc_offset_minutes"], physical["page_type"]) == ("INT32", "INT32")


def test_a_world_of_another_size_is_simulated(tmp_path: Path) -> None:
    assert main(["--users", "20", "--days", "5", "--output", str(tmp_path / "events")]) == 0
    files = list((tmp_path / "events").glob("*/*.parquet"))
    assert 0 < len(files) <= 5
    assert len({user for file in files for user in pq.read_table(file)["user_id"].to_pylist()}) <= 20


def test_a_world_of_one_day_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--days", "1", "--output", str(tmp_path / "events")])
    assert "three days" in capsys.readouterr().err


def test_a_folder_that_exists_stays_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old").write_text("old")
    assert main(["--output", str(tmp_path)]) == 1
    assert "exists" in capsys.readouterr().out
    assert [file.name for file in tmp_path.iterdir()] == ["old"]


def test_a_file_that_cannot_be_used_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("user_id\na\n")
    assert main(["--events", str(tmp_path / "bad.csv"), "--output", str(tmp_path / "events")]) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["bad.csv"]


def test_the_data_report_comes_first_and_decides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, folder = tmp_path / "e.csv", tmp_path / "events"
    pd.concat([ROWS, ROWS]).to_csv(source, index=False)
    assert main(["--events", str(source), "--output", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "WARNING: Rows are repeated." in shown
    assert "NOTE: These events alone are too few to train on" in shown
    assert shown.index("WARNING") < shown.index("6 events in")

    ROWS.assign(event_time=ROWS["event_time"].dt.floor("D")).to_csv(source, index=False)
    assert main(["--events", str(source), "--output", str(tmp_path / "others")]) == 1
    assert "The times are dates: they are at midnight." in capsys.readouterr().out
    assert not (tmp_path / "others").exists()


def test_without_credentials_nothing_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    assert main(["--events", str(tmp_path / "no such file"), "--output", "s3://mine/events"]) == 1
    said = capsys.readouterr().out
    assert "There are no AWS credentials." in said
    assert "aws configure" in said


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="mine")
        yield client


def contents(s3: Any) -> dict[str, bytes]:
    listed = s3.list_objects_v2(Bucket="mine").get("Contents", [])
    return {item["Key"]: s3.get_object(Bucket="mine", Key=item["Key"])["Body"].read() for item in listed}


def written(folder: Path, rows: pd.DataFrame) -> Path:
    folder.mkdir(exist_ok=True)
    rows.to_csv(folder / "export.csv", index=False)
    return folder / "export.csv"


@pytest.mark.parametrize("uri", ["s3://mine/events", "s3://mine/events/", "s3://mine/a/b"])
def test_the_files_of_a_folder_and_of_a_bucket_are_the_same(tmp_path: Path, s3: Any, uri: str) -> None:
    source, folder = written(tmp_path / "in", ROWS), tmp_path / "events"
    assert main(["--events", str(source), "--output", str(folder)]) == 0
    assert main(["--events", str(source), "--output", uri]) == 0
    prefix = uri.removeprefix("s3://mine/").rstrip("/")
    files = {f"{prefix}/{file.relative_to(folder)}": file.read_bytes() for file in folder.glob("*/*")}
    assert contents(s3) == files
    times = [pq.read_table(io.BytesIO(body)).schema.field("event_time").type for body in files.values()]
    assert times == [pa.timestamp("ms")] * 2


def test_a_repeated_upload_uploads_nothing(tmp_path: Path, s3: Any, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--events", str(written(tmp_path, ROWS)), "--output", "s3://mine/events"]
    assert [main(command), main(command)] == [0, 0]
    assert "0 files uploaded, 2 were there" in capsys.readouterr().out


def test_other_events_of_the_same_dates_are_kept_unless_they_are_to_be_replaced(
    tmp_path: Path, s3: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    s3.put_object(Bucket="mine", Key="events/dt=2026-11-20/theirs.parquet", Body=b"old")
    s3.put_object(Bucket="mine", Key="events/dt=2026-10-01/another-date.parquet", Body=b"older")
    before = contents(s3)
    command = ["--events", str(written(tmp_path, ROWS)), "--output", "s3://mine/events"]
    assert main(command) == 1
    refusal = capsys.readouterr().out
    assert "1 files of 2026-11-20" in refusal
    assert "REPLACE=yes" in refusal
    assert contents(s3) == before

    assert main([*command, "--replace"]) == 0
    dates = sorted(key.split("/")[1] for key in contents(s3))
    assert dates == ["dt=2026-10-01", "dt=2026-11-20", "dt=2026-11-21"]
    assert b"old" not in contents(s3).values()


def test_an_upload_that_fails_leaves_the_bucket_as_it_was(
    tmp_path: Path, s3: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    s3.put_object(Bucket="mine", Key="events/dt=2026-11-20/theirs.parquet", Body=b"old")
    before = contents(s3)
    call = BaseClient._make_api_call

    def failing(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
        if operation == "PutObject" and "dt=2026-11-21" in parameters["Key"]:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, operation)
        return call(client, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", failing)
    assert main(["--events", str(written(tmp_path, ROWS)), "--output", "s3://mine/events", "--replace"]) == 1
    assert "AccessDenied" in capsys.readouterr().out
    assert contents(s3) == before


@pytest.mark.parametrize("uri", ["s3://mine", "s3://mine/", "s3:///events"])
def test_a_place_without_a_prefix_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], uri: str) -> None:
    assert main(["--events", str(written(tmp_path, ROWS)), "--output", uri]) == 1
    assert "s3://<BucketName>/events" in capsys.readouterr().out
