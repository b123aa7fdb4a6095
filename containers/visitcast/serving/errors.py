"""A request that cannot be answered."""

from __future__ import annotations

from typing import Final

MISSING: Final = "It is missing."
"""Reason of a refusal."""


class RequestError(Exception):
    """The caller has to change the request.

    Attributes
    ----------
    status : int
        HTTP status, 4xx.
    field : str
        Where it is wrong, such as ``users[0].visits[3].visit_date`` or ``line 7: visits[3].visit_date``.
    reason : str
        What is wrong there.
    """

    def __init__(self, field: str, reason: str, status: int = 400) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason
        self.status = status


class OverloadedError(Exception):
    """There is no room for the request now; the same request may be answered later.

    Attributes
    ----------
    retry_after_s : int
        Seconds after which the caller should try again.
    """

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s


class DisconnectedError(Exception):
    """The client has closed the connection: nobody waits for an answer."""
