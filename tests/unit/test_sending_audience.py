"""The campaign's own list of users, a CSV that people and their tools write."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from visitcast.data.left_out import LeftOut
from visitcast.data.text_values import instants
from visitcast.errors import InputError
from visitcast.sending.audience import read_audience
from visitcast.sending.audience_csv import read_listed


def read(folder: Path, text: str | bytes) -> tuple[pd.DataFrame, LeftOut]:
    """Read an audience of one file."""
    file = folder / "audience.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    left_out = LeftOut()
    return read_audience([], [file], left_out), left_out


@pytest.mark.parametrize("quote", ["", '"'])
def test_an_empty_field_is_missing_and_nothing_else(tmp_path: Path, quote: str) -> None:
    rows = [["user_id", "platform", "utc_offset_minutes", "time_zone", "last_push_at"]]
    rows += [["NA", "", "", "", ""], ["null", "NA", "-60", "nan", "2026-11-23T22:00:00Z"]]
    text = "".join(",".join(f"{quote}{field}{quote}" for field in row) + "\r\n" for row in rows)
    found, left_out = read(tmp_path, text)
    assert left_out.to_json()["users"] == 0
    assert found.loc["NA"].isna().all()
    assert found.loc["null", ["platform", "time_zone"]].tolist() == ["NA", "nan"]
    assert found.loc["null", "utc_offset_minutes"] == -60
    assert found.loc["null", "last_push_at"] == pd.Timestamp("2026-11-23T22:00:00")


@pytest.mark.parametrize(
    ("row", "users"),
    [
        (b"a,b,ios,60", 1),  # an identifier with a comma and without quotes
        (b"b", 1),
        (b'b"c,ios,60,"', 1),
        (b"b\xff,ios,60", 1),
        (b'"b\nc",ios,60', 1),
        (b'"b,ios,60\nlast,ios,60', 2),  # the second quotation mark is missing
    ],
)
def test_a_row_that_is_no_row_is_left_out(tmp_path: Path, row: bytes, users: int) -> None:
    rows = b"".join(b"user-%d,ios,60\n" % number for number in range(20))
    found, left_out = read(tmp_path, b"user_id,platform,utc_offset_minutes\n" + rows + row + b"\n")
    assert sorted(found.index) == sorted(f"user-{number}" for number in range(20))
    assert left_out.to_json()["users"] == users
    assert all(name.isprintable() for name in left_out.named)


def test_a_user_with_a_good_and_a_broken_row_is_left_out(tmp_path: Path) -> None:
    found, left_out = read(tmp_path, "user_id,utc_offset_minutes\na,x\nb,60\na,60\n")
    assert list(found.index) == ["b"]
    assert left_out.named == ["'a'"]


@pytest.mark.parametrize(
    ("text", "headline", "cause"),
    [
        ("user_id,platform,platform\na,ios,web\n", "has a column twice", "platform"),
        ("user_id,user_id\na,b\n", "has a column twice", "user_id"),
        ("user,platform\na,ios\n", "has no column user_id", "'user', 'platform'"),
        ("", "cannot be read", "Empty"),
        (b"user_id,\xff\xfe\na,b\n", "cannot be read", "decode"),
        ("user_id,last_push_at\n" + "".join(f"u{n},2026-11-23\n" for n in range(30)), "Most rows", "30 of 30"),
        ("user_id\n" + ",\n" * 20 + "a\n" * 5, "Most rows", "20 of 25"),
        ('user_id,platform\na,ios\n"b,ios\n' + "c,ios\n" * 30, "Most rows", "31 of 32"),
        ('user_id\na\n"b\n' + "c\n" * 30, "Most rows", "of"),
    ],
)
def test_a_list_that_is_wrong_is_refused_in_words(tmp_path: Path, text: str | bytes, headline: str, cause: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    assert headline in caught.value.headline
    assert cause in caught.value.cause
    assert caught.value.remedy.endswith(".")


def test_other_columns_may_be_there_twice(tmp_path: Path) -> None:
    found, _ = read(tmp_path, "user_id,note,note\nNA,x,y\n")
    assert list(found.index) == ["NA"]


def test_a_row_that_is_longer_than_a_block_is_refused_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "audience.csv"
    file.write_text("user_id\n" + "short\n" * 300 + "L" * 5000 + "\nlast\n")
    with pytest.raises(InputError, match="has a row of more than 1,000 bytes") as caught:
        read_listed(file, LeftOut(), block_bytes=1000)
    line = int(caught.value.cause.split("after line ")[1].split(";")[0].replace(",", ""))
    assert 100 < line <= 301


def test_blocks_change_nothing(tmp_path: Path) -> None:
    file = tmp_path / "audience.csv"
    names = [("bad\x07" if n % 3 == 0 else "u") + str(n) for n in range(500)]
    file.write_text(
        "user_id,utc_offset_minutes\n" + "".join(f"{name},{60 if n % 5 else 'x'}\n" for n, name in enumerate(names))
    )
    found = []
    for block_bytes in (300, 2**20):
        left_out = LeftOut()
        table = pa.concat_tables(read_listed(file, left_out, block_bytes))
        found.append((table.to_pydict(), left_out.rules.total()))
    assert found[0] == found[1]
    assert found[0][1] == sum(n % 3 == 0 or n % 5 == 0 for n in range(500))


DAY, CLOCK = r"[0-3][0-9]{3}-[01][0-9]-[0-3][0-9]", r"[0-2][0-9]:[0-6][0-9](:[0-6][0-9](\.[0-9]{1,10})?)?"
TEXTS = st.from_regex(rf"\A{DAY}[T ]{CLOCK}(Z|[+-][0-2][0-9]:?[0-5][0-9])?\Z")


@given(TEXTS | st.datetimes(datetime(1, 1, 2), datetime(2999, 12, 30)).map(lambda at: f"{at.isoformat()}Z") | st.text())
@example("0000-01-01T00:00Z")
@example("2026-11-23T22:00:00+23:59")
@example("2026-11-23T22:00:00,5Z")
@example("1969-12-31T23:59:59.9Z")
def test_instants_are_those_of_pythons_library(text: str) -> None:
    try:
        expected = datetime.fromisoformat(text)
        offset = expected.tzinfo is not None
        seconds = (expected.replace(microsecond=0) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() if offset else 0
    except (ValueError, OverflowError):
        offset, seconds = False, 0
    values, broken = instants(pa.array([text, None]))
    assert broken[1]
    if not broken[0]:
        assert offset
        assert values[0] == seconds
    elif offset and text[0] in "012":
        # Python reads more forms than are written here, and 60 minutes in an offset.
        assert len(text) < 17 or text[10] not in "T " or "," in text or len(text.partition(".")[2]) > 9 or "W" in text


def test_instants_of_the_usual_forms_are_read() -> None:
    forms = ["2026-11-23T22:00:00Z", "2026-11-23 22:00:00+00:00", "2026-11-23T23:00+0100", "2026-11-23T22Z"]
    values, broken = instants(pa.array([*forms, "2026-11-23T22:00:00.999999999Z"]))
    assert not broken.any()
    assert set(values.tolist()) == {1_795_471_200}
