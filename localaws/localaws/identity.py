"""In whose name this region's code acts: a handler's, a job's or a state machine's role, or nobody's.

A role's credentials are an access key id of its own. Whatever a process signs with it tells the region who it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

OPERATOR_KEY = "localaws"
"""Access key id of whoever stands outside the stack: people, sam, tests."""

_acting: ContextVar[str] = ContextVar("role", default="")
_roles: dict[str, str] = {}


@contextmanager
def acting_as(role_arn: str) -> Iterator[None]:
    """Make calls in the name of a role; the empty text is the operator's."""
    token = _acting.set(role_arn)
    try:
        yield
    finally:
        _acting.reset(token)


def acting() -> str:
    """Return the ARN of the role in whose name this thread acts, or an empty text."""
    return _acting.get()


def access_key_id() -> str:
    """Return the access key id of whoever this thread acts for."""
    role_arn = acting()
    if not role_arn:
        return OPERATOR_KEY
    key = f"LOCALAWS{hashlib.sha256(role_arn.encode()).hexdigest()[:12].upper()}"
    _roles[key] = role_arn
    return key


def role_of(key: str) -> str:
    """Return the ARN of the role that an access key id was made for, or an empty text."""
    return _roles.get(key, "")
