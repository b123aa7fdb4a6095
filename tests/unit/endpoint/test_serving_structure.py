"""What is looked at in a body before it is parsed: each byte a bounded number of times, whatever stands around it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visitcast.serving import json_requests, structure
from visitcast.serving.errors import RequestError
from visitcast.serving.limits import REAL_TIME_USERS

SIZE = 2**20
"""Bytes. Work that grew with the square would take an hour; pytest-timeout ends it."""
READERS = [json_requests.read_json, json_requests.read_lines]
BEGINNINGS = {
    "from the start": b"",
    "in an open string": b'{"users":["',
    "in an array": b'{"users":[',
    "in an identifier": b'{"users":[{"user_id":"',
    "in an identifier of a line": b'{"user_id":"',
    "after a backslash": b'{"users":["\\',
    "after an array": b'{"users":["a"],"x":[' + b"[]," * 100,
}
PARTS = [
    b'[\\"',  # each bracket hides in a string that is open from each of the quotation marks
    b'[\\\\"',
    b'{\\"',
    b'"[',
    b'["",',
    b'"',
    b'\\"',
    b"\\",
    b"[",
    b"{",
    b"[]",
    b":",
    b'":',
    b'{"":',
    b"\\u0061",
    b'"\\u005',
    b'"user_id"',
    b"\n",
    b" \r\n",
    b"[\n",
    b'"\n',
    b"{}\n",
    b" ",
    b"0",
    b"\xff",
]


def read(reader: Callable[..., Any], beginning: bytes, part: bytes) -> None:
    body = beginning + part * ((SIZE - len(beginning)) // len(part))
    with pytest.raises(RequestError):
        reader(body, REAL_TIME_USERS)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=BEGINNINGS)
def test_a_body_of_one_part_again_and_again_is_refused(reader: Callable[..., Any], beginning: bytes) -> None:
    for part in PARTS:
        read(reader, beginning, part)


@given(
    reader=st.sampled_from(READERS),
    beginning=st.sampled_from(list(BEGINNINGS.values())) | st.text('"\\[{:\n ', max_size=5).map(str.encode),
    # A bracket that nothing closes: it is never a body that can be answered.
    part=st.text('"\\[{:\n a', min_size=1, max_size=7).map(lambda text: (text + "[").encode()),
)
@settings(max_examples=60, deadline=None)
def test_a_body_of_any_part_repeated_is_refused(reader: Callable[..., Any], beginning: bytes, part: bytes) -> None:
    read(reader, beginning, part)


def without_strings(text: bytes) -> bytes:
    """Return what stands outside of strings, read byte by byte."""
    outside = bytearray()
    is_in_string = is_escaped = False
    for code in text:
        if not is_in_string:
            is_in_string = code == ord('"')
            outside += b"" if is_in_string else bytes([code])
        elif is_escaped:
            is_escaped = False
        else:
            is_escaped = code == ord("\\")
            is_in_string = code != ord('"')
    # A backslash that ends the body escapes nothing.
    return bytes(outside) + (b"\\" if is_escaped else b"")


@pytest.mark.parametrize("length", range(6))
def test_what_is_outside_of_strings_is_what_a_plain_reader_finds_there(length: int) -> None:
    for codes in product(b'"\\[\n', repeat=length):
        assert structure._string.sub(b"", bytes(codes)) == without_strings(bytes(codes))


@given(text=st.lists(st.sampled_from([b'"', b"\\", b"[", b"{", b"\n", b"a"]), max_size=200).map(b"".join))
def test_the_same_for_long_texts(text: bytes) -> None:
    assert structure._string.sub(b"", text) == without_strings(text)


@pytest.mark.parametrize("bracket", [b"[", b"{"])
def test_brackets_in_a_string_are_no_parts_of_a_body(bracket: bytes) -> None:
    inside = bracket * 10_000
    assert structure.require_few_parts(b'{"users":"' + inside + b'"}', None) == 1
    with pytest.raises(RequestError, match="It has more"):
        structure.require_few_parts(b'{"users":"\\""' + inside + b"}", None)
