"""The data report: facts, verdicts, the command and its page."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from visitcast.events.command import main
from visitcast.events.mapping import EventsMapping
from visitcast.events.reading import reading
from visitcast.events.report import Report, report_on

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def log(users: int = 30, days: int = 20) -> pd.DataFrame:
    times = pd.date_range("2026-10-01T08:15:00Z", periods=days)
    frames = [
        pd.DataFrame({"user_id": f"user-{user}", "event_time": times + pd.Timedelta(hours=user % 9), "offset": 60})
        for user in range(users)
    ]
    return pd.concat(frames, ignore_index=True)


def report(frame: pd.DataFrame, folder: Path) -> Report:
    frame.to_parquet(folder / "e.parquet")
    mapping = EventsMapping(columns={"utc_offset_minutes": "offset"})
    with reading(folder / "e.parquet", mapping, NOW) as events:
        return report_on(events, folder / "e.parquet", NOW)


def levels(found: Report) -> list[tuple[str, str]]:
    return [(verdict.level, verdict.headline) for verdict in found.verdicts]


def test_a_good_log(tmp_path: Path) -> None:
    found = report(log(), tmp_path)
    assert levels(found) == [("good", "There is enough history to train and judge a model.")]
    assert found.facts["Rows"] == "600"
    assert found.facts["Users"] == "30"
    assert found.facts["Local dates"] == "2026-10-01 to 2026-10-20, 20 days"
    assert found.facts["Trained and judged on"].startswith("510 visit days")
    assert found.facts["A forecast is for"] == "2026-10-21: the log ended 31 days ago"
    assert sum(found.hours) == 600
    assert found.hours[9] == 80  # users 0, 9, 18 and 27 at 08:15 UTC


@pytest.mark.parametrize(
    ("change", "level", "headline"),
    [
        pytest.param(
            lambda frame: frame.assign(event_time=frame["event_time"].dt.floor("D")),
            "refused",
            "The times are dates: they are at midnight.",
            id="dates as times",
        ),
        pytest.param(
            lambda frame: frame.assign(
                event_time=frame["event_time"].where(frame.index % 3 > 0, frame["event_time"].dt.floor("D"))
            ),
            "warning",
            "Many times are exactly at midnight.",
            id="a pile at midnight",
        ),
        pytest.param(
            lambda frame: frame.assign(offset=0), "warning", "Every offset is 0, so hours are those of UTC.", id="UTC"
        ),
        pytest.param(lambda frame: pd.concat([frame, frame]), "warning", "Rows are repeated.", id="twice"),
        pytest.param(
            lambda frame: frame.assign(offset=-480),
            "warning",
            "The users seem to be awake at night: is the time zone right?",
            id="the zone of another continent",
        ),
        pytest.param(
            lambda frame: pd.concat([frame, *[frame[:1].assign(user_id="bot")] * 1500]),
            "warning",
            "1 user with more than 1,000 events on an average active day.",
            id="a program",
        ),
        pytest.param(
            lambda frame: frame[frame["user_id"] < "user-1"],
            "refused",
            "There are too few visit days to train and judge a model.",
            id="one user",
        ),
        pytest.param(
            lambda frame: frame[frame["event_time"] < "2026-10-02"],
            "refused",
            "No user has enough history to learn from.",
            id="one day",
        ),
        pytest.param(
            lambda frame: frame.assign(offset=2),
            "note",
            "offset was read as hours; --offset-unit names another unit.",
            id="hours",
        ),
    ],
)
def test_verdicts(change: Callable[[pd.DataFrame], pd.DataFrame], level: str, headline: str, tmp_path: Path) -> None:
    assert (level, headline) in levels(report(change(log()), tmp_path))


def test_rows_that_are_left_out_are_facts_with_their_reason(tmp_path: Path) -> None:
    frame = log()
    frame.loc[0, "event_time"] = pd.Timestamp("1970-01-01T00:00Z")
    frame.loc[1, "event_time"] = pd.Timestamp("2038-01-19T03:14Z")
    frame.loc[2, "user_id"] = "\x07"
    found = report(frame, tmp_path)
    left_out = "1 with a user id that cannot be used left out, 1 before 1990 left out, 1 in the future left out"
    assert found.facts["Rows"] == f"600, {left_out}"


def test_what_is_refused_is_not_called_good_too(tmp_path: Path) -> None:
    found = report(log().assign(event_time=log()["event_time"].dt.floor("D")), tmp_path)
    assert found.refused == found.verdicts[0]
    assert "good" not in {verdict.level for verdict in found.verdicts}


def test_events_that_are_added_to_others_may_be_few(tmp_path: Path) -> None:
    log(users=1, days=1).to_parquet(tmp_path / "e.parquet")
    with reading(tmp_path / "e.parquet", EventsMapping(columns={"utc_offset_minutes": "offset"}), NOW) as events:
        found = report_on(events, tmp_path / "e.parquet", NOW, whole=False)
    assert levels(found) == [("note", "These events alone are too few to train on: others must be in the table.")]
    assert found.facts["Offsets from UTC"] == "+01:00 1 user"
    assert found.facts["Local dates"] == "2026-10-01 to 2026-10-01, 1 day"


def test_hours_that_are_called_minutes_are_refused_as_in_a_run(tmp_path: Path) -> None:
    log().assign(offset=2).to_parquet(tmp_path / "e.parquet")
    mapping = EventsMapping(columns={"utc_offset_minutes": "offset"}, offset_unit="minutes")
    with reading(tmp_path / "e.parquet", mapping, NOW) as events:
        found = report_on(events, tmp_path / "e.parquet", NOW)
    assert ("refused", "The offsets are hours, not minutes.") in levels(found)


def test_the_forecast_is_for_the_date_after_that_of_the_last_event_in_utc(tmp_path: Path) -> None:
    frame = log().assign(offset=-480)
    frame.loc[frame.index[-1], "event_time"] = pd.Timestamp("2026-10-21T02:00Z")
    found = report(frame, tmp_path)
    assert found.facts["Local dates"].startswith("2026-10-01 to 2026-10-20")
    assert found.facts["A forecast is for"].startswith("2026-10-22")


def test_the_command_prints_the_report_and_writes_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, page = tmp_path / "<b>.csv", tmp_path / "build/events.html"
    log().to_csv(path, index=False)
    assert main([str(path), "--columns", "utc_offset_minutes=offset", "--page", str(page)]) == 0
    printed = capsys.readouterr().out
    assert "GOOD: There is enough history" in printed
    assert f"As a page: {page}" in printed
    html = page.read_text(encoding="utf-8")
    assert "&lt;b&gt;.csv" in html
    assert "<b>" not in html
    assert "enough history" in html
    assert main([str(tmp_path / "none.csv"), "--page", str(page)]) == 1
    assert not page.exists()


def test_the_package_s_command_refuses_with_the_remedy_and_leaves_no_failure_file(tmp_path: Path) -> None:
    log(users=2).drop(columns="offset").to_csv(tmp_path / "e.csv", index=False)
    run = subprocess.run(
        [sys.executable, "-m", "visitcast", "check", "e.csv"],
        cwd=tmp_path,
        env={"OPT_ML_DIR": str(tmp_path / "opt")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "--time-zone Europe/Berlin" in run.stderr
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "opt").exists()


def test_a_log_that_is_too_small_ends_with_status_1(tmp_path: Path) -> None:
    log(users=1).to_csv(tmp_path / "e.csv", index=False)
    assert main([str(tmp_path / "e.csv"), "--columns", "utc_offset_minutes=offset"]) == 1


def test_ids_are_text_on_the_page_and_in_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bots = [log()[:1].assign(user_id=user) for user in ("<script>alert(1)</script>", "\x1b[2J\x1b[31mgone")]
    pd.concat([log(), *(pd.concat([bot] * 1500) for bot in bots)]).to_csv(tmp_path / "e.csv", index=False)
    page = tmp_path / "events.html"
    assert main([str(tmp_path / "e.csv"), "--columns", "utc_offset_minutes=offset", "--page", str(page)]) == 0
    printed = capsys.readouterr().out
    assert r"\x1b[2J\x1b[31mgone" in printed
    assert "\x1b" not in printed
    html = page.read_text(encoding="utf-8")
    assert "&lt;script&gt;" in html
    assert "<script" not in html
    assert "\x1b" not in html
