"""Instants in the environment of a job."""

from __future__ import annotations

from datetime import UTC, datetime

from visitcast.errors import InputError


def read_instant(variable: str, text: str) -> datetime:
    """Read an instant in ISO-8601 and convert it to UTC.

    Parameters
    ----------
    variable : str
        Name of the environment variable, for the error.
    text : str
        Its value.

    Raises
    ------
    InputError
        It is not an instant, or has no time zone.

    Examples
    --------
    >>> read_instant("AS_OF", "2026-11-23T05:00:00+01:00").isoformat()
    '2026-11-23T04:00:00+00:00'
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise InputError(
            f"{variable} is not an instant.",
            f"It is {text!r}.",
            "Use ISO-8601 with a time zone, such as 2026-11-23T04:00:00Z.",
        )
    return instant.astimezone(UTC)
