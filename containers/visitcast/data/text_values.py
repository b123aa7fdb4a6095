"""Parse columns of text, a whole column at a time, and find the texts that cannot be parsed."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from visitcast.data import identifiers
from visitcast.data.calendar import days_since_epoch

_HOUR: Final = "([01][0-9]|2[0-3])"
_CLOCK: Final = rf"{_HOUR}(:[0-5][0-9](:[0-5][0-9](\.[0-9]{{1,9}})?)?)?"
_INSTANT: Final = rf"\A[0-2][0-9]{{3}}-[0-9]{{2}}-[0-9]{{2}}[T ]{_CLOCK}(Z|[+-]{_HOUR}(:?[0-5][0-9])?)\z"

Reading = tuple[NDArray[np.int64], NDArray[np.bool_]]
"""Values [rows], 0 where the text cannot be parsed, and where that is, [rows]."""


def integers(text: Any) -> Reading:
    """Read an Arrow array of strings as whole numbers of at most 18 digits, which always fit 64 bits."""
    filled = text.fill_null("")
    readable: Any = pc.match_substring_regex(filled, r"\A-?[0-9]{1,18}\z")
    numbers: Any = pc.cast(pc.if_else(readable, filled, pa.scalar("0")), pa.int64())
    return numbers.to_numpy(), ~readable.to_numpy(zero_copy_only=False)


def dates(text: Any) -> Reading:
    """Read an Arrow array of strings ``YYYY-MM-DD`` as days since 1970-01-01."""
    encoded = text.fill_null("").dictionary_encode()
    # There are few distinct days, so plain Python reads them.
    days = [_day(name) for name in encoded.dictionary.to_pylist()]
    index = encoded.indices.to_numpy()
    values = np.array([day or 0 for day in days], dtype=np.int64)
    return values[index], np.array([day is None for day in days], dtype=bool)[index]


def instants(text: Any) -> Reading:
    """Read an Arrow array of strings such as ``2026-11-23T22:00:00Z``, before the year 3000, as seconds since 1970.

    A space may stand for the T, an offset for the Z. Minutes and seconds may be missing, and a fraction of one
    is dropped.
    """
    filled = text.fill_null("")
    alike: Any = pc.match_substring_regex(filled, _INSTANT)
    _, no_day = dates(pc.if_else(alike, pc.utf8_slice_codeunits(filled, 0, 10), pa.scalar("")))
    whole = pc.replace_substring_regex(filled, r"\.[0-9]+", "")
    readable = pc.if_else(pa.array(no_day), pa.scalar("1970-01-01T00:00Z"), whole)
    seconds: Any = readable.cast(pa.timestamp("s", tz="UTC")).cast(pa.int64())
    return seconds.to_numpy(), no_day


def ranks(text: Any) -> tuple[NDArray[np.int64], Any]:
    """Return each string's position among the distinct strings of an Arrow array, and these in ascending order."""
    encoded = text.fill_null("").dictionary_encode()
    # Arrow compares UTF-8 bytes, which is the order of code points, as with Athena's ORDER BY.
    order = pc.array_sort_indices(encoded.dictionary)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order.to_numpy()] = np.arange(len(order))
    return rank[encoded.indices.to_numpy()], encoded.dictionary.take(order)


def blank(text: Any) -> NDArray[np.bool_]:
    """Return where an Arrow array of strings is NULL or only white space."""
    trimmed: Any = pc.utf8_trim_whitespace(text.fill_null(""))
    empty: NDArray[np.bool_] = pc.equal(trimmed, pa.scalar("")).to_numpy(zero_copy_only=False)
    return empty


def decoded(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return users and lists of values with every text in UTF-8, which Parquet promises and does not check.

    An identifier that is not in UTF-8 gets a NUL at its end, so that it breaks its rule. In other texts such bytes
    are written as escapes.
    """
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        columns = {name: _decoded(batch.column(name), "\0") for name in batch.schema.names}
        return pa.RecordBatch.from_pydict(columns)
    return batch


def _decoded(values: Any, mark: str) -> Any:
    """Return an array with a mark at the end of each text that is not in UTF-8, and none in lists."""
    if pa.types.is_list(values.type):
        mask = values.is_null() if values.null_count else None
        return pa.ListArray.from_arrays(values.offsets, _decoded(values.values, ""), mask=mask)
    if not pa.types.is_string(values.type):
        return values
    return pa.array(
        [raw if raw is None else _text(raw, mark) for raw in values.view(pa.binary()).to_pylist()], pa.string()
    )


def _text(raw: bytes, mark: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("utf-8", "backslashreplace") + mark


def not_identifiers(text: Any) -> NDArray[np.bool_]:
    """Return where an Arrow array of strings holds what cannot identify a user."""
    filled = text.fill_null("")
    too_long = pc.greater(pc.utf8_length(filled), pa.scalar(identifiers.MAX_LENGTH))
    controls = pc.match_substring_regex(filled, identifiers.CONTROL)
    invisible = pc.invert(pc.match_substring_regex(filled, identifiers.VISIBLE))
    found: Any = pc.or_(pc.or_(too_long, controls), invisible)
    broken: NDArray[np.bool_] = found.to_numpy(zero_copy_only=False)
    return broken


def _day(text: str) -> int | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    # fromisoformat also reads 20261123 and 2026-W48-1.
    return days_since_epoch(day) if day.isoformat() == text else None
