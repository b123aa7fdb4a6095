"""A user who breaks a rule is left out of a forecast, counted and named, and stops nobody."""

import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_visits import made_frame
from sending_folder import run_plan, sending_folder, write_audience, write_histories

from visitcast.__main__ import main
from visitcast.errors import InputError

HOSTILE = [
    *("L" * length for length in (257, 300, 10_000, 1_000_000)),
    *("\0", "dup\0", "dup\0\0", "new\nline", "\r", "\x1b]0;owned\x07", "\x9b2J", " ", "\u3000"),
]
HARMLESS = [
    *(
        "dup",
        "L" * 255,
        "L" * 256,
        "🙂" * 256,
        "<script>alert(1)</script>",
        '=HYPERLINK("http://evil")',
        "'; DROP TABLE a",
    ),
    *(
        "../../etc/passwd",
        "${visits}",
        "{{7*7}}",
        "a,b",
        'a"b',
        "u\u2028s",
        "\u202egnp",
        "null",
        "\uffff",
        "e\u0301",
        "é",
    ),
]


@pytest.fixture
def opt_ml(tmp_path, monkeypatch):
    return sending_folder(tmp_path, monkeypatch)


def forecast(opt_ml, frame, known=()):
    """Run both jobs; return what a reader of the tables sees, the report and the messages."""
    for folder in ("histories", "known"):
        for file in (opt_ml / "input" / folder).iterdir():
            file.unlink()
    for folder in (opt_ml / "output").glob("*"):
        folder.rename(opt_ml / f"old-{folder.name}-{len(list(opt_ml.iterdir()))}")
    write_histories(opt_ml / "input", frame)
    columns = {"platform": "ios", "utc_offset_minutes": 60, "time_zone": None, "last_visit_date": None}
    table = pa.Table.from_pandas(pd.DataFrame({"user_id": list(known)}).assign(**columns))
    pq.write_table(table, opt_ml / "input/known/part-0")
    write_audience(opt_ml / "input", {"user_id": []})
    main(["requests"])
    lines = [line for file in sorted((opt_ml / "output/requests").iterdir()) for line in file.read_text().splitlines()]
    for file in (opt_ml / "output/users").iterdir():
        (opt_ml / "input/users" / file.name).write_bytes(file.read_bytes())
    report, forecasts, _, messages = run_plan(opt_ml, lines)
    return forecasts, report, messages


def with_users(frame, names):
    """Add users with the visits of the first one."""
    first = frame[frame.user_id == frame.user_id.iloc[0]]
    return pd.concat([frame, *(first.assign(user_id=name) for name in names)], ignore_index=True)


def test_hostile_identifiers_change_nothing_for_the_others(opt_ml):
    frame = with_users(made_frame(30, 6.0), HARMLESS)
    before, _, messages = forecast(opt_ml, frame)
    after, report, messages_after = forecast(opt_ml, with_users(frame, HOSTILE), known=HOSTILE)
    assert set(before.index) >= set(HARMLESS)
    pd.testing.assert_frame_equal(before.sort_index(), after.sort_index())
    assert sorted(map(json.dumps, messages)) == sorted(map(json.dumps, messages_after))
    assert report["left_out"]["users"] == len(HOSTILE)
    assert f"Left out: {len(HOSTILE)} users." in report["notes"][0]
    assert all(character.isprintable() for character in report["notes"][0])
    assert len(report["notes"][0]) < 1000


def test_what_was_published_once_does_not_stick(opt_ml):
    frame = made_frame(10, 6.0)
    after, report, _ = forecast(opt_ml, frame, known=["L" * 300, "absent"])
    assert set(after.index) == {*frame.user_id, "absent"}
    assert report["left_out"]["users"] == 1
    assert "'LLLL" in report["notes"][0]
    _, report, _ = forecast(opt_ml, frame, known=after.index)
    assert report["left_out"] == {"users": 0, "rules": {}, "named": [], "note": ""}
    assert not any("Left out" in note for note in report["notes"])


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("utc_offset_minutes", 20_000, "utc_offset_minutes must lie in -720..840"),
        ("platform", " ", "platform must not be NULL"),
        ("total_time_spent_s", -1, "total_time_spent_s must lie in"),
        ("hourly_visits", 0, "hourly_visits must lie in"),
    ],
)
def test_a_value_that_breaks_a_rule_stops_its_user_alone(opt_ml, column, value, rule):
    frame = made_frame(10, 6.0)
    user = frame.user_id.iloc[-1]
    others, _, _ = forecast(opt_ml, frame[frame.user_id != user])
    broken = frame.copy()
    broken.loc[broken.user_id == user, column] = value
    after, report, _ = forecast(opt_ml, broken)
    assert sorted(after.index) == sorted(others.index)
    assert user in report["notes"][0]
    assert rule in report["notes"][0]


def test_events_that_are_wrong_for_most_users_are_refused(opt_ml):
    frame = made_frame(10, 6.0)
    with pytest.raises(InputError, match="Most users break a rule") as caught:
        forecast(opt_ml, frame.assign(user_id=frame.user_id + "\0"))
    assert "10 of 10" in caught.value.cause
    assert not list((opt_ml / "output" / "requests").glob("*"))
