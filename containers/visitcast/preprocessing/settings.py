"""The job's settings, from its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from visitcast.data.instants import read_instant
from visitcast.errors import InputError

AS_OF: Final = "VISITCAST_AS_OF"
MAX_INPUT_BYTES: Final = "VISITCAST_MAX_INPUT_BYTES"

DEFAULT_MAX_INPUT_BYTES: Final = 2 * 2**30
"""2 GiB hold about 20 million visit days. A larger CSV is most likely a mistake in the SQL. Parquet files have no such
limit: several instances can read them."""


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
    as_of = environment.get(AS_OF, "")
    return Settings(
        as_of=read_instant(AS_OF, as_of) if as_of else datetime.now(UTC),
        max_input_bytes=_positive_integer(environment.get(MAX_INPUT_BYTES, "")),
    )


def _positive_integer(text: str) -> int:
    if not text:
        return DEFAULT_MAX_INPUT_BYTES
    if not text.isdecimal() or int(text) == 0:
        raise InputError(
            f"{MAX_INPUT_BYTES} is not a number of bytes.", f"It is {text!r}.", "Use a positive whole number."
        )
    return int(text)
