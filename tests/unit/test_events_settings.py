"""Settings that would change nothing are refused, and what a setting decides for many rows is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo import forecast_run, lift_run, write_events
from demo.cli import main as demo
from visitcast.errors import InputError
from visitcast.events.command import main as check
from visitcast.events.command import mapping_of, mapping_options
from visitcast.events.mapping import EventsMapping, read_mapping
from visitcast.events.reading import reading

NOTE = "have no offset or zone of their own: they took Europe/Berlin."


def settings(*words: str) -> EventsMapping:
    return mapping_of(mapping_options().parse_args(words), Path("e.csv"))


def notes(path: Path, text: str, mapping: EventsMapping) -> tuple[str, ...]:
    path.write_text(text)
    with reading(path, mapping) as events:
        return events.notes


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("--page-types", "home=1,*=4"), "--page-types"),
        (("--platforms", "telly=web"), "--platforms"),
        (("--offset-unit", "hours"), "--offset-unit"),
    ],
)
def test_values_of_a_column_that_is_not_there_are_refused(words: tuple[str, ...], option: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        notes(tmp_path / "e.csv", "user_id,event_time\na,2026-11-20T08:15:00+01:00\n", settings(*words))
    assert f"{option} has no column to read" in str(caught.value)
    assert f"or leave {option} out" in str(caught.value)


@pytest.mark.parametrize(
    ("header", "remedy"),
    [
        ("distinct_id,time,name", "Its columns are those of mixpanel: leave --tool out, or give --tool mixpanel."),
        ("who,when,what", "Leave --tool out, and say which column is which: --columns user_id="),
    ],
)
def test_another_tool_than_the_one_that_is_named(header: str, remedy: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        notes(tmp_path / "e.csv", f"{header}\na,2026-11-20T08:15:00+01:00,x\n", settings("--tool", "segment"))
    for part in ("is not an export of segment", "segment has user_id in user_id|", header.replace(",", ", "), remedy):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("user_id,event_time,time_zone\na,{t},Asia/Tokyo\nb,{t},\nc,{t},\n", "2 of 3 rows "),
        ("user_id,event_time,utc_offset_minutes\na,{t},60\nb,{t},60\nc,{t},\n", "1 of 3 rows "),
        ("user_id,event_time,time_zone\na,{t}+09:00,\nb,{t}+09:00,Asia/Tokyo\nc,{t},\n", "1 of 3 rows "),
        ("user_id,event_time,time_zone\na,{t},Asia/Tokyo\n", ""),
        ("user_id,event_time\na,{t}\n", ""),  # that all take the zone is what was said
    ],
)
def test_rows_that_take_the_one_zone_are_counted(text: str, count: str, tmp_path: Path) -> None:
    mapping = settings("--time-zone", "Europe/Berlin")
    found = notes(tmp_path / "e.csv", text.replace("{t}", "2026-11-20T08:15:00"), mapping)
    assert [note.removesuffix(NOTE) for note in found if NOTE in note] == ([count] if count else [])


@pytest.mark.parametrize("command", [check, demo, forecast_run.main, lift_run.main, write_events.main])
def test_an_option_that_is_misspelt_is_proposed(command: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert callable(command)
    with pytest.raises(SystemExit, match="2"):
        command(["--events-args", "--timezone=Europe/Berlin --colums user_id=who"])
    said = capsys.readouterr().err
    assert "--timezone: did you mean --time-zone?" in said
    assert "--colums: did you mean --columns?" in said


def test_a_setting_that_is_misspelt_is_proposed(tmp_path: Path) -> None:
    (tmp_path / "events.toml").write_text('timezone = "Europe/Berlin"')
    with pytest.raises(InputError, match="Did you mean time_zone"):
        read_mapping(tmp_path / "events.toml")
