"""The rule for identifiers is the same in Python, Arrow, SQL, requests and messages; who breaks it stops nobody."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.shared import messages
from visitcast.data import identifiers
from visitcast.data.text_values import not_identifiers

ROOT = Path(__file__).parents[2]
SQL_RULE = "length(user_id) <= 256 AND regexp_like(user_id, '[^\\p{Z}\\p{Cc}]') AND NOT regexp_like(user_id, '\\p{Cc}')"
CHARACTERS = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]
TEXTS = [
    *("", " ", "\u2028", "a", " a ", "a\0", "\0", "a\n", "\r", "\x1b[2J", "\x7f", "\x85", "é", "e\u0301", "\u202eabc"),
    *(
        "<b>",
        "=1+1",
        "'; DROP TABLE events; --",
        "${user}",
        "{{7*7}}",
        "../../etc/passwd",
        "\ufeff",
        "\uffff",
        "🙂" * 256,
    ),
    *("x" * length for length in (255, 256, 257, 1_000_000)),
    "x" * 256 + "\n",
]
USER_IDS = [messages.PUSH.schema["properties"]["user_id"], messages.REPORT.schema["properties"]["user_id"]]


def by_sql(texts: list[str]) -> list[bool]:
    """Ask the SQL of the files, whose functions DuckDB names otherwise."""
    rule = SQL_RULE.replace("regexp_like", "regexp_matches")
    with duckdb.connect() as connection:
        connection.register("given", pa.table({"row": range(len(texts)), "user_id": texts}))
        return [found for (found,) in connection.sql(f"SELECT {rule} FROM given ORDER BY row").fetchall()]


def by_schema(text: str, schema: dict[str, object]) -> bool:
    return messages.PUSH.evolve(schema=schema).is_valid(text)


def test_all_agree_on_every_character() -> None:
    expected = list(map(identifiers.is_identifier, CHARACTERS))
    assert (~not_identifiers(pa.array(CHARACTERS))).tolist() == expected
    assert by_sql(CHARACTERS) == expected
    for schema in USER_IDS:  # the validator takes a minute for a million
        visible, controls = re.compile(schema["pattern"]), re.compile(schema["not"]["pattern"])
        found = [bool(visible.search(one)) and not controls.search(one) for one in CHARACTERS]
        assert found == expected


@pytest.mark.parametrize("schema", USER_IDS, ids=["push", "report"])
def test_all_agree_on_texts(schema: dict[str, object]) -> None:
    expected = list(map(identifiers.is_identifier, TEXTS))
    assert True in expected
    assert False in expected
    assert (~not_identifiers(pa.array(TEXTS))).tolist() == expected
    assert by_sql(TEXTS) == expected
    assert [by_schema(text, schema) for text in TEXTS] == expected


@given(st.text(st.sampled_from("a \n\0\u2028🙂"), max_size=4) | st.text("ab", min_size=250, max_size=260))
def test_all_agree_on_any_text(text: str) -> None:
    expected = identifiers.is_identifier(text)
    assert (~not_identifiers(pa.array([text]))).tolist() == [expected]
    assert [by_schema(text, schema) for schema in USER_IDS] == [expected] * 2


@pytest.mark.parametrize("name", ["event_counts.sql", "own_visits.sql"])
def test_queries_hold_this_rule(name: str) -> None:
    text = " ".join((ROOT / "sql" / name).read_text(encoding="utf-8").split())
    assert SQL_RULE in text
    assert identifiers.CONTROL in SQL_RULE
    assert identifiers.VISIBLE in SQL_RULE
    assert f"<= {identifiers.MAX_LENGTH} " in SQL_RULE


def test_an_identifier_fits_a_key_of_dynamodb_and_a_message() -> None:
    longest = "🙂" * identifiers.MAX_LENGTH
    assert len(longest.encode()) <= 2048
    assert len(json.dumps(longest)) <= 256 * 1024 / 10
