"""A request that cannot be answered."""

from __future__ import annotations


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
