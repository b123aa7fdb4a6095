"""A user who breaks a rule is left out of a forecast, counted and named, and stops nobody."""

import json
import tracemalloc

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_visits import AS_OF, made_frame
from sending_folder import run_plan, sending_folder, write_audience, write_histories, write_pushes

from visitcast.__main__ import main
from visitcast.data.histories import read_blocks
from visitcast.data.left_out import LeftOut
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


WORDS = [
    *(
        "NA",
        "N/A",
        "#N/A",
        "#N/A N/A",
        "null",
        "NULL",
        "Null",
        "nan",
        "NaN",
        "-nan",
        "-NaN",
        "None",
        "<NA>",
        "n/a",
        "NaT",
    ),
    *("true", "false", "TRUE", "inf", "1e5", "0x10", "007", "1.0", "-1", "1.#IND", "-1.#QNAN", "2026-11-24", "user_id"),
]
"""Names that a reader of CSV may take for another value."""


def forecast(opt_ml, frame, known=(), audience=()):
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
    write_audience(opt_ml / "input", list(audience) or {"user_id": []})
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


@pytest.mark.parametrize("listed", [WORDS, []], ids=["in the audience too", "in the histories alone"])
def test_a_user_may_be_called_like_a_missing_value(opt_ml, listed):
    frame = made_frame(30, 6.0)
    before, _, _ = forecast(opt_ml, frame)
    audience = [{"user_id": name, "time_zone": "Asia/Kolkata"} for name in listed]
    after, report, messages = forecast(opt_ml, with_users(frame, WORDS), audience=audience)
    assert sorted(after.index) == sorted({*frame.user_id, *WORDS})
    assert report["left_out"]["users"] == 0
    assert (after.source[WORDS] == after.source[frame.user_id.iloc[0]]).all()
    assert after.time_zone[WORDS].notna().sum() == len(listed)
    pd.testing.assert_frame_equal(before.sort_index(), after.drop(WORDS).sort_index())
    assert {message["user_id"] for message in messages} & set(WORDS)


def test_newcomers_called_like_a_missing_value_get_a_forecast(opt_ml):
    frame = made_frame(30, 6.0)
    after, report, messages = forecast(opt_ml, frame, audience=[{"user_id": name} for name in WORDS])
    assert sorted(after.index) == sorted({*frame.user_id, *WORDS})
    assert report["left_out"]["users"] == 0
    assert {message["user_id"] for message in messages} & set(WORDS)


@pytest.mark.parametrize("name", ["NA", "null", "nan", "plain"])
def test_who_opted_out_gets_no_push_whatever_the_name(opt_ml, name):
    write_pushes(opt_ml, [(name, [], 1)])
    _, _, messages = forecast(opt_ml, with_users(made_frame(30, 6.0), [name]))
    assert messages
    assert name not in {message["user_id"] for message in messages}


BROKEN_ROWS = {
    "a blank identifier": {"user_id": " "},
    "no identifier": {"user_id": "", "platform": "ios"},
    "an identifier of megabytes": {"user_id": "L" * 2_200_000},
    "an offset that is no number": {"user_id": "user-0001", "utc_offset_minutes": "x"},
    "an offset of nowhere": {"user_id": "user-0001", "utc_offset_minutes": 99_999},
    "an offset in hexadecimal": {"user_id": "user-0001", "utc_offset_minutes": "0x10"},
    "an instant without a zone": {"user_id": "user-0001", "last_push_at": "2026-11-23T22:00:00"},
    "an instant of no calendar": {"user_id": "user-0001", "last_push_at": "2026-02-30T22:00:00Z"},
    "an instant of the year 9999": {"user_id": "user-0001", "last_push_at": "9999-12-31T00:00:00Z"},
    "a day of no calendar": {"user_id": "user-0001", "last_visit_date": "2026-02-30"},
}


@pytest.mark.parametrize("row", BROKEN_ROWS.values(), ids=BROKEN_ROWS)
def test_a_broken_row_of_the_audience_stops_its_user_alone(opt_ml, row):
    frame = made_frame(30, 6.0)
    good = [{"user_id": "new", "utc_offset_minutes": 60, "last_push_at": "2026-11-20T22:00:00Z"}]
    before, _, messages = forecast(opt_ml, frame, audience=good)
    after, report, messages_after = forecast(opt_ml, frame, known=["user-0001"], audience=[good[0], row])
    assert report["left_out"]["users"] == 1
    assert "Left out: 1 user." in report["notes"][0]
    assert row["user_id"][:20] in report["notes"][0] or report["left_out"]["named"] == ["NULL"]
    kept = before.drop(row["user_id"], errors="ignore")
    pd.testing.assert_frame_equal(kept.sort_index(), after.loc[kept.index].sort_index())
    assert set(after.index) - set(kept.index) <= {"user-0001"} - {row["user_id"]}
    mine = [message for message in messages if message["user_id"] != row["user_id"]]
    theirs = [message for message in messages_after if message["user_id"] in before.index]
    assert sorted(map(json.dumps, mine)) == sorted(map(json.dumps, theirs))


def test_who_breaks_a_rule_in_visits_is_not_forecast_from_the_lists(opt_ml):
    frame = made_frame(10, 6.0)
    user = frame.user_id.iloc[-1]
    broken = frame.copy()
    broken.loc[broken.user_id == user, "platform"] = " "
    after, report, _ = forecast(opt_ml, broken, known=[user], audience=[{"user_id": user}])
    assert set(after.index) == set(frame.user_id) - {user}
    assert report["left_out"]["users"] == 1


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


def test_long_names_of_platforms_need_no_more_memory_than_they_have(opt_ml):
    frame = made_frame(10, 6.0)
    names = [f"{number}" + "p" * 1_000_000 for number in range(40)]
    rows = frame.index[:40]
    frame.loc[rows, "platform"] = names[: len(rows)]
    tracemalloc.start()
    _, report, _ = forecast(opt_ml, frame)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report["left_out"]["users"] == 0
    assert peak < 150e6  # as an array of texts: 40 times 4 MB besides


def in_bytes(raw):
    """An array of strings with any bytes: Parquet promises UTF-8, and nobody checks."""
    return pa.Array.from_buffers(pa.string(), len(raw), pa.array(raw, pa.binary()).buffers())


@pytest.mark.parametrize("identifier", [b"a\xff\xfeb", b"\xed\xa0\x80lone", b"\xc0\xaf"])
def test_bytes_that_are_not_utf8_stop_their_user_alone(tmp_path, identifier):
    (tmp_path / "histories").mkdir()
    write_histories(tmp_path, made_frame(6, 6.0))
    file = tmp_path / "histories" / "part-0"
    whole = pq.read_table(file)
    users = [user.encode() for user in whole["user_id"].to_pylist()]
    platforms = whole["platform"].combine_chunks()
    first = int(platforms.offsets[2].as_py())
    names = [b"\xff\xfe" if row == first else b"ios" for row in range(len(platforms.values))]
    changed = whole.set_column(0, "user_id", in_bytes([identifier, *users[1:]]))
    lists = pa.ListArray.from_arrays(platforms.offsets, in_bytes(names))
    pq.write_table(changed.set_column(whole.column_names.index("platform"), "platform", lists), file)
    left_out = LeftOut()
    kept = np.concatenate([block.user_ids for block in read_blocks([file], AS_OF, left_out=left_out)])
    assert kept.tolist() == [user.decode() for user in users[1:]]
    assert left_out.to_json()["users"] == 1
    assert left_out.named[0].isprintable()
