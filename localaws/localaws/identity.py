"""The identity that code of the region acts as: the role of a function, job or state machine, or the operator.

Each role has an access key id of its own. A request that is signed with it tells the region who makes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

OPERATOR_KEY = "localaws"
"""Access key id of the operator: people, sam and tests outside the stack."""

_acting: ContextVar[str] = ContextVar("role", default="")
_roles: dict[str, str] = {}


@contextmanager
def acting_as(role_arn: str) -> Iterator[None]:
    """Act as a role, or as the operator if the ARN is empty."""
    token = _acting.set(role_arn)
    try:
        yield
    finally:
        _acting.reset(token)


def acting() -> str:
    """Return the ARN of the role that this thread acts as; empty for the operator."""
    return _acting.get()


def access_key_id() -> str:
    """Return the access key id of the current identity."""
    role_arn = acting()
    if not role_arn:
        return OPERATOR_KEY
    key = f"LOCALAWS{hashlib.sha256(role_arn.encode()).hexdigest()[:12].upper()}"
    _roles[key] = role_arn
    return key


def role_of(key: str) -> str:
    """Return the ARN of the role that has an access key id; empty for the operator."""
    return _roles.get(key, "")
