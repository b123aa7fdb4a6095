"""The job's settings, from its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from visitcast.errors import InputError

AS_OF: Final = "VISITCAST_AS_OF"
MAX_INPUT_BYTES: Final = "VISITCAST_MAX_INPUT_BYTES"

DEFAULT_MAX_INPUT_BYTES: Final = 2 * 2**30
"""Two thousand million visit days would be a hundred times that; so long a CSV is a mistake in the SQL, or should be an
unload to Parquet, which has no such limit and is read by several instances."""


@dataclass(frozen=True)
class Settings:
    """Settings of a preprocessing job.

    Attributes
    ----------
    as_of : datetime
        UTC instant at which the data end; a visit on a day that has not begun by then is an error.
    max_input_bytes : int
        Limit for all CSV files together. Parquet files have none.
    """

    as_of: datetime
    max_input_bytes: int


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings; an unset or empty variable has a default (now, 2 GiB).

    Raises
    ------
    InputError
        A variable cannot be read.
    """
    return Settings(
        as_of=_instant(environment.get(AS_OF, "")),
        max_input_bytes=_positive_integer(environment.get(MAX_INPUT_BYTES, "")),
    )


def _instant(text: str) -> datetime:
    if not text:
        return datetime.now(UTC)
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise InputError(
            f"{AS_OF} is not an instant.",
            f"It is {text!r}.",
            "Use ISO-8601 with a time zone, such as 2026-11-23T04:00:00Z.",
        )
    return instant.astimezone(UTC)


def _positive_integer(text: str) -> int:
    if not text:
        return DEFAULT_MAX_INPUT_BYTES
    if not text.isdecimal() or int(text) == 0:
        raise InputError(
            f"{MAX_INPUT_BYTES} is not a number of bytes.", f"It is {text!r}.", "Use a positive whole number."
        )
    return int(text)
