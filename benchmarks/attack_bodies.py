"""Bodies of a given size that cost a server as much as its caller can make them cost."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

DAY = b'"2026-01-01"'
SHORTEST_USER = b'{"user_id":"a","date":"2026-01-02","visits":[]}'
_BEGIN, _END = b'{"users":[', b"]}"


def bodies(size: int) -> dict[str, bytes]:
    """Return bodies of at most `size` bytes, by what is wrong with them or expensive about them."""
    user = SHORTEST_USER[:-1] + b","
    return {
        "users without visits": _filled(size, _BEGIN, SHORTEST_USER, _END),
        "unknown keys of the body": _keys(size, b"{", b"}"),
        "unknown keys of a user": _keys(size, _BEGIN + b"{", b"}" + _END),
        "unknown keys of a visit": _keys(size, _BEGIN + b'{"visits":[{', b"}]}" + _END),
        "long unknown keys of a visit": _keys(size, _BEGIN + b'{"visits":[{', b"}]}" + _END, digits=16),
        "one key again and again": _filled(size, _BEGIN + b"{", b'"date":' + DAY, b"}" + _END),
        "a key twice, at the end": _filled(size, _BEGIN, SHORTEST_USER, b"," + user + b'"date":' + DAY + b"}" + _END),
        "numbers in an unknown key": _filled(size, _BEGIN + user + b'"x":[', b"0", b"]}" + _END),
        "numbers for users": _filled(size, b'{"users":{"x":[', b"1.5", b"]}}"),
        "numbers in a visit without keys": _filled(size, _BEGIN + b'{"visits":[{"x":[', b"1.5", b"]}]}" + _END),
        "arrays": _filled(size, _BEGIN, b"[0]", _END),
        "arrays in arrays": _filled(size, _BEGIN, b"[" * 100 + b"]" * 100, _END),
        "open arrays": b"[" * size,
        "empty objects": _filled(size, _BEGIN + b'{"visits":[', b"{}", b"]}" + _END),
        "dates": _filled(size, _BEGIN + b'{"visits":{"visit_date":[', DAY, b"]}}" + _END),
        "long numbers": _filled(size, _BEGIN + b'{"visits":{"hourly_visits":[', b"9" * 4000, b"]}}" + _END),
        "one long number": _filled(size, b'{"users":', b"9", b"}", b""),
        "escapes": _filled(size, _BEGIN + b'{"user_id":"', b"\\u00e9", b'"}' + _END, b""),
        "escaped quotation marks": _filled(size, _BEGIN + b'"', b'[\\"', b"", b""),
        "white space": _filled(size, _BEGIN, b" ", _END, b""),
        "no end": _filled(size, _BEGIN, SHORTEST_USER, b""),
    }


def lines(size: int) -> dict[str, bytes]:
    """Return bodies of JSON Lines of at most `size` bytes."""
    return {
        "lines with users without visits": _filled(size, b"", SHORTEST_USER, b"\n", b"\n"),
        "a broken line, at the end": _filled(size, b"", SHORTEST_USER, b"\n{", b"\n"),
        "empty lines": b"\n" * size,
        "unknown keys of a line": _keys(size, b"{", b"}"),
    }


def _filled(size: int, begin: bytes, part: bytes, end: bytes, between: bytes = b",") -> bytes:
    """Repeat a part as often as it fits."""
    parts = (size - len(begin) - len(end)) // (len(part) + len(between))
    return begin + between.join([part] * parts) + end


def _keys(size: int, begin: bytes, end: bytes, digits: int = 1) -> bytes:
    """Fill an object with keys that differ."""

    def pairs() -> Iterator[bytes]:
        left = size - len(begin) - len(end)
        for number in count():
            pair = b'"%0*x":0' % (digits, number)
            left -= len(pair) + 1
            if left < 0:
                return
            yield pair

    return begin + b",".join(pairs()) + end
