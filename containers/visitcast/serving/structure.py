"""Bounds what a body may hold before it is parsed, and names keys that it should not have.

A parser takes 300 bytes for an array of two characters, and of a key that appears twice it keeps the last value. So
keys, arrays and objects are counted on the bytes of a body first. The keys themselves are looked at only in a body that
has more of them than were read from it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from typing import Any, Final

import numpy as np

from visitcast.data import schema
from visitcast.serving.errors import RequestError

USERS: Final = "users"
VISITS: Final = "visits"
_BODY: Final = frozenset({USERS})
_USER: Final = frozenset({schema.USER_ID, schema.DATE, schema.AS_OF, VISITS})
_VISIT: Final = frozenset(column.name for column in schema.DAY_COLUMNS)
"""Keys of a visit, and of visits by column."""

KEY_BYTES: Final = 12
ARRAY_BYTES: Final = 16
OBJECT_BYTES: Final = 32
"""A body that can be answered has at least as many bytes for each. The shortest user without visits has 47, with three
keys, an array and an object; the shortest with visits by column has 300, with 16 keys, 12 arrays and two objects."""
ALLOWANCE: Final = 64
"""Number of each that a body of any size may have: what is wrong with a small one is described better by the parser."""

_string: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
"""A string, or what follows a quotation mark that none closes. It matches at each quotation mark that the search comes
to, so nothing is scanned twice; did it ask for the second mark, an open string would be scanned again from every
escaped one in it."""
_escaped_letter: Final = re.compile(rb"\\u00[567]")
_USER_KEY: Final = f'"{schema.USER_ID}"'.encode()
_COLON, _QUOTATION_MARK, _SPACE = b':" '


def most_users(body: bytes) -> int:
    """Count the users; the objects if letters are escaped, as no writer does, since the key may be among them."""
    return body.count(b"{") if b"\\" in body and _escaped_letter.search(body) else body.count(_USER_KEY)


def most_keys(text: bytes) -> int:
    """Count the colons after a quotation mark or white space; there are at most as many keys."""
    codes = np.frombuffer(text, dtype=np.uint8)
    before = codes[np.flatnonzero(codes == _COLON) - 1]
    return int(np.count_nonzero((before == _QUOTATION_MARK) | (before <= _SPACE)))


def require_few_parts(body: bytes, most_users: int | None) -> int:
    """Refuse a body with more keys, arrays, objects or users than one that can be answered.

    Parameters
    ----------
    body : bytes
        JSON or JSON Lines.
    most_users : int or None
        Users that one request may have.

    Returns
    -------
    int
        Number of its keys, or more: see :func:`most_keys`.

    Raises
    ------
    RequestError
        There are more.
    """
    if most_users is not None and (users := body.count(_USER_KEY + b":")) > most_users:
        raise too_many_users(users, most_users)
    # Identifiers may hold brackets too, but hardly ever so many.
    if _excess(body, len(body)) and (excess := _excess(_string.sub(b"", body), len(body))):
        raise _too_many(excess)
    keys = most_keys(body)
    if keys > len(body) // KEY_BYTES + ALLOWANCE:
        raise _too_many("keys")
    return keys


def _too_many(what: str) -> RequestError:
    return RequestError("body", f"It has more {what} than users and their visits have in a body of its size.")


def too_many_users(users: int, most: int) -> RequestError:
    """Return the refusal of a request with too many users."""
    return RequestError(USERS, f"{users:,} users; one request may hold {most:,}.", status=413)


def _excess(text: bytes, size: int) -> str | None:
    """Name what a text has too many of for the size of its body."""
    codes = np.frombuffer(text, dtype=np.uint8)
    if np.count_nonzero(codes == ord("[")) > size // ARRAY_BYTES + ALLOWANCE:
        return "arrays"
    if np.count_nonzero(codes == ord("{")) > size // OBJECT_BYTES + ALLOWANCE:
        return "objects"
    return None


def keys_of(users: Collection[Any]) -> int:
    """Count the keys of users as they were read, and of their visits."""
    return sum(
        len(user) + (len(visits) if isinstance(visits := user.get(VISITS, ()), dict) else sum(map(len, visits)))
        for user in users
    )


def require_known_keys(body: bytes) -> None:
    """Refuse a key that is unknown, or that an object has twice.

    Parameters
    ----------
    body : bytes
        JSON whose known keys have values of the right form.

    Raises
    ------
    RequestError
        There is such a key.
    """
    read = json.loads(body, object_pairs_hook=_with_keys)
    _require(read, _BODY, "")
    for number, user in enumerate(read.get(USERS, [])):
        _require_of_user(user, f"{USERS}[{number}].")


def require_known_keys_of_line(line: bytes, name: Callable[[], str]) -> None:
    """Do the same for a line with a user; `name` returns what the place of a key begins with."""
    try:
        _require_of_user(json.loads(line, object_pairs_hook=_with_keys), "")
    except RequestError as error:
        raise RequestError(name() + error.field, error.reason) from None


class _Keys(dict[str, Any]):
    """An object, with the first of its keys that appears twice."""

    twice: str


def _with_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) == len(pairs):
        return read
    seen: set[str] = set()
    repeating = _Keys(read)
    repeating.twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return repeating


def _require_of_user(user: dict[str, Any], where: str) -> None:
    _require(user, _USER, where)
    visits = user.get(VISITS, [])
    if isinstance(visits, dict):
        _require(visits, _VISIT, f"{where}{VISITS}.")
        return
    for number, visit in enumerate(visits):
        _require(visit, _VISIT, f"{where}{VISITS}[{number}].")


def _require(read: dict[str, Any], known: frozenset[str], where: str) -> None:
    if not read.keys() <= known:
        raise RequestError(where + next(key for key in read if key not in known), "It is not a known key.")
    if isinstance(read, _Keys):
        raise RequestError(where + read.twice, "The key appears twice.")
