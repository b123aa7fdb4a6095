"""Exports as the documentation of each tool describes them, through the commands of docs/your-events.md."""

from __future__ import annotations

import gzip
import json
import re
import shlex
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from demo.write_events import main as write_events
from visitcast.events.command import main as check

DOCUMENT = (Path(__file__).parents[2] / "docs/your-events.md").read_text(encoding="utf-8")
COMMANDS = {
    name: shlex.split(arguments)
    for name, arguments in re.findall(r'^make check-events EVENTS=(\S+) EVENTS_ARGS="(.*)"$', DOCUMENT, re.MULTILINE)
}
USERS, DAYS = 20, 20
VISITS = [
    (user, datetime(2026, 10, 1, 6 + user % 9, 15, 30, 250_000, tzinfo=UTC) + timedelta(days=day))
    for day in range(DAYS)
    for user in range(USERS)
]


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def amplitude(path: Path) -> None:
    """Events of the export API: an archive with a folder of packed JSON Lines for each hour."""
    with zipfile.ZipFile(path, "w") as archive:
        for part in range(2):
            rows = [
                {
                    "$insert_id": f"{user}-{time}",
                    "amplitude_id": 100 + user,
                    "app": 1234,
                    "city": "Berlin",
                    "client_event_time": f"{time:%Y-%m-%d %H:%M:%S.%f}",
                    "device_id": f"device-{user}",
                    "event_properties": {"page": "home"},
                    "event_time": f"{time:%Y-%m-%d %H:%M:%S.%f}",
                    "event_type": "open",
                    "platform": "iOS",
                    "server_upload_time": f"{time + timedelta(hours=1):%Y-%m-%d %H:%M:%S.%f}",
                    "user_id": f"user-{user}",
                    "user_properties": {},
                }
                for user, time in VISITS[part::2]
            ]
            archive.writestr(f"1234/1234_2026-10-01_{part}#0.json.gz", gzip.compress(lines(rows).encode()))


def mixpanel(path: Path) -> None:
    """Raw export: JSON Lines with seconds since 1970 among the properties."""
    path.write_text(
        lines(
            [
                {
                    "event": "open",
                    "properties": {
                        "time": int(time.timestamp()),
                        "distinct_id": f"user-{user}",
                        "$insert_id": f"{user}",
                        "$os": "iOS",
                        "mp_country_code": "DE",
                        "mp_processing_time_ms": int(time.timestamp() * 1000) + 99,
                    },
                }
                for user, time in VISITS
            ]
        )
    )


def segment(path: Path) -> None:
    """The table ``pages`` of a warehouse; people who have not logged in have an anonymous id alone."""
    rows = [
        {
            "id": f"{user}-{time:%s}",
            "anonymous_id": f"user-{user}" if user % 2 else f"anonymous-{user}",
            "user_id": "" if user % 2 else f"user-{user}",
            "context_ip": "203.0.113.9",
            "context_page_title": 'A "page",\nof two lines',
            "original_timestamp": f"{time:%Y-%m-%d %H:%M:%S.%f} UTC",
            "received_at": f"{time:%Y-%m-%d %H:%M:%S.%f} UTC",
            "sent_at": f"{time:%Y-%m-%d %H:%M:%S.%f} UTC",
            "timestamp": f"{time:%Y-%m-%d %H:%M:%S.%f} UTC",
            "uuid_ts": f"{time:%Y-%m-%d %H:%M:%S.%f} UTC",
        }
        for user, time in VISITS
    ]
    pd.DataFrame(rows).to_csv(path, index=False)


def snowplow(path: Path) -> None:
    """Atomic events, with entities as lists of structures."""
    rows = [
        {
            "app_id": "shop",
            "platform": "web",
            "collector_tstamp": time + timedelta(seconds=2),
            "dvce_created_tstamp": time,
            "derived_tstamp": time,
            "event_id": f"{user}-{time}",
            "user_id": None,
            "domain_userid": f"user-{user}",
            "os_family": "iOS",
            "os_timezone": "Europe/Berlin" if user % 2 else None,
            "contexts_com_acme_1": [{"a": 1}],
        }
        for user, time in VISITS
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)


def ga4(path: Path) -> None:
    """Daily tables as BigQuery exports them; the offset is nested, in seconds, and empty for the web."""
    path.mkdir()
    rows = [
        {
            "event_date": f"{time:%Y%m%d}",
            "event_timestamp": round(time.timestamp() * 1_000_000),
            "event_name": "screen_view",
            "event_params": [{"key": "page", "value": {"string_value": "home", "int_value": None}}],
            "user_id": None,
            "user_pseudo_id": f"user-{user}",
            "device": {"operating_system": "iOS", "time_zone_offset_seconds": 7200 if user % 2 else None},
            "geo": {"country": "Germany"},
            "platform": "IOS",
        }
        for user, time in VISITS
    ]
    for part in range(2):
        pq.write_table(pa.Table.from_pylist(rows[part::2]), path / f"00000000000{part}.parquet")


def posthog(path: Path) -> None:
    """Batch export in Parquet, where properties are JSON as text."""
    path.mkdir()
    rows = [
        {
            "uuid": f"{user}-{time}",
            "event": "$pageview",
            "distinct_id": f"user-{user}",
            "person_id": f"person-{user}",
            "properties": json.dumps({"$os": "iOS", **({"$timezone": "Europe/Berlin"} if user % 2 else {})}),
            "timestamp": time,
            "created_at": time,
        }
        for user, time in VISITS
    ]
    pq.write_table(pa.Table.from_pylist(rows), path / "2026-10-01.parquet.zst", compression="zstd")


EXPORTS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "amplitude": ("amplitude.zip", amplitude),
    "mixpanel": ("mixpanel.jsonl", mixpanel),
    "segment": ("pages.csv", segment),
    "snowplow": ("snowplow.parquet", snowplow),
    "ga4": ("ga4/", ga4),
    "posthog": ("posthog/", posthog),
}


@pytest.mark.parametrize("tool", EXPORTS)
def test_the_commands_of_the_document_check_and_write_the_export(
    tool: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, make = EXPORTS[tool]
    make(tmp_path / name)
    assert check([str(tmp_path / name), *COMMANDS[name]]) == 0
    printed = capsys.readouterr().out
    assert f"The columns are those of {tool}" in printed
    assert "GOOD: There is enough history" in printed
    assert f"{USERS} (100%) have 3 visit days or more" in " ".join(printed.split())
    out = tmp_path / "out"
    assert write_events(["--events", str(tmp_path / name), "--output", str(out), *COMMANDS[name]]) == 0
    table = pa.concat_tables(pq.ParquetFile(file).read() for file in sorted(out.glob("dt=*/*.parquet")))
    assert len(list(out.glob("dt=*"))) == len(list(out.glob("dt=*/*"))) == DAYS
    found = sorted(zip(*(table[column].to_pylist() for column in table.column_names), strict=True))
    berlin = ZoneInfo("Europe/Berlin")
    assert found == sorted(
        (
            f"user-{user}",
            time.replace(tzinfo=None, microsecond=0 if tool == "mixpanel" else time.microsecond),
            int((time.astimezone(berlin).utcoffset() or timedelta()).total_seconds() // 60),
            1,
            "other" if tool == "segment" else "ios",
        )
        for user, time in VISITS
    )


def test_each_tool_has_both_commands_with_the_same_options() -> None:
    plans = re.findall(r"^make forecast (EVENTS=\S+ EVENTS_ARGS=.*)$", DOCUMENT, re.MULTILINE)
    assert plans == re.findall(r"^make check-events (EVENTS=\S+ EVENTS_ARGS=.*)$", DOCUMENT, re.MULTILINE)
    assert COMMANDS.keys() == {name for name, _ in EXPORTS.values()}
