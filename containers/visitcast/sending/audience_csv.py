"""Read a campaign's list of users from CSV. A row that breaks a rule leaves out its user, and stops nobody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from visitcast.data import identifiers, schema
from visitcast.data.left_out import LARGEST_SHARE, LeftOut
from visitcast.data.text_values import dates, decoded, instants, integers, not_identifiers
from visitcast.data.validation import shown
from visitcast.errors import InputError

TYPES: Final[dict[str, Any]] = {
    schema.USER_ID: pa.string(),
    schema.PLATFORM: pa.string(),
    schema.UTC_OFFSET_MINUTES: pa.int16(),
    schema.TIME_ZONE: pa.string(),
    schema.LAST_VISIT_DATE: pa.date32(),
    schema.LAST_PUSH_AT: pa.timestamp("s"),
}
"""Columns of users to forecast. A file may lack any but the first."""
IDENTIFIER: Final = f"{schema.USER_ID} {identifiers.RULE}"
BLOCK_BYTES: Final = 2**25
"""The longest row that can be left out like any other; a longer one is refused."""
_FEW: Final = 10
"""So many broken rows may be all that a short list has."""
_RULES: Final = {
    schema.UTC_OFFSET_MINUTES: (
        f"{schema.UTC_OFFSET_MINUTES} must be a whole number in {schema.WESTERNMOST_MINUTES}.."
        f"{schema.EASTERNMOST_MINUTES}"
    ),
    schema.LAST_VISIT_DATE: f"{schema.LAST_VISIT_DATE} must be a date YYYY-MM-DD",
    schema.LAST_PUSH_AT: (
        f"{schema.LAST_PUSH_AT} must be an instant with Z or an offset, such as 2026-11-23T22:00:00Z, before the year "
        "3000"
    ),
}
_FIELDS: Final = "a row must have as many fields as the header, and every quotation mark its second"

Mask = NDArray[np.bool_]


def read_listed(file: Path, left_out: LeftOut, block_bytes: int = BLOCK_BYTES) -> list[pa.Table]:
    """Read a list of users; an empty field is a missing value, and nothing else is: a user may be called ``NA``.

    Parameters
    ----------
    file : Path
        CSV in UTF-8 with a header: ``user_id`` and any other columns of ``TYPES``. Others are not read.
    left_out : LeftOut
        Gets the users whose rows break a rule; they are not returned.
    block_bytes : int
        Bytes to read at a time.

    Returns
    -------
    list of Table
        Columns of ``TYPES``; those that the file lacks are null.

    Raises
    ------
    InputError
        It is not CSV with such a header, has a row that is longer than a block, or most of its rows break a rule.
    """
    found = _Rows(file, left_out)
    tables = [found.kept(text) for text in _read_text(file, found, block_bytes)]
    found.require_few()
    return tables


class _Rows:
    """Rows of a file that break no rule, and how many do."""

    def __init__(self, file: Path, left_out: LeftOut) -> None:
        self._file = file
        self._left_out = left_out
        self.read = 0
        self._broken = 0
        self._rules: dict[str, int] = {}

    def skip(self, row: csv.InvalidRow) -> str:
        """Leave out a row with too few or too many fields."""
        # After a quotation mark without a second one, all lines to the end of the file are one row.
        lines = row.text.splitlines()
        self.read += len(lines)
        self._leave_out(lines, len(lines), _FIELDS)
        return "skip"

    def kept(self, text: pa.RecordBatch) -> pa.Table:
        """Return rows as the columns of ``TYPES``, without those that break a rule."""
        users: Any = text.column(schema.USER_ID)
        self.read += text.num_rows
        broken = not_identifiers(users)
        lost = users.filter(pa.array(broken))
        # An identifier may have swallowed lines in the same way.
        swallowed = pc.sum(pc.count_substring(lost, "\n")).as_py() or 0
        self.read += swallowed
        self._leave_out(lost.to_pylist(), len(lost) + swallowed, IDENTIFIER)
        columns: dict[str, Any] = {}
        for name, kind in TYPES.items():
            if name not in text.schema.names:
                columns[name] = pa.nulls(text.num_rows, kind)
            elif name in _RULES:
                columns[name], unreadable = _values(name, text.column(name))
                new = unreadable & ~broken
                self._leave_out(users.filter(pa.array(new)).to_pylist(), int(new.sum()), _RULES[name])
                broken |= unreadable
            else:
                columns[name] = text.column(name)
        return pa.table(columns).filter(pa.array(~broken))

    def require_few(self) -> None:
        """Refuse a file in which most rows break a rule: that is not the users' fault."""
        if self._broken > max(_FEW, LARGEST_SHARE * self.read):
            rules = "; ".join(f"{rule} ({count:,})" for rule, count in self._rules.items())
            raise InputError(
                f"Most rows of the audience {self._file.name} break a rule.",
                f"{self._broken:,} of {self.read:,}: {rules}. Among them {', '.join(self._left_out.named)}.",
                "Correct the audience, then start again.",
            )

    def _leave_out(self, users: Sequence[str | None], rows: int, rule: str) -> None:
        if rows:
            self._left_out.add(users, rule)
            self._broken += rows
            self._rules[rule] = self._rules.get(rule, 0) + rows


def _values(name: str, text: Any) -> tuple[Any, Mask]:
    """Return a column in its type, and where it breaks its rule."""
    trimmed: Any = pc.utf8_trim_whitespace(text.fill_null(""))
    missing: Mask = pc.equal(trimmed, pa.scalar("")).to_numpy(zero_copy_only=False)
    if name == schema.UTC_OFFSET_MINUTES:
        # pandas writes 60.0 where other rows have no offset.
        values, broken = integers(pc.replace_substring_regex(trimmed, r"\A(-?[0-9]+)\.0+\z", r"\1"))
        broken = broken | (values < schema.WESTERNMOST_MINUTES) | (values > schema.EASTERNMOST_MINUTES)
        kinds: list[Any] = [pa.int16()]
    elif name == schema.LAST_VISIT_DATE:
        values, broken = dates(trimmed)
        kinds = [pa.int32(), pa.date32()]
    else:
        values, broken = instants(trimmed)
        kinds = [pa.int64(), pa.timestamp("s")]
    broken &= ~missing
    column: Any = pa.array(np.where(broken, 0, values), mask=missing)
    for kind in kinds:
        column = column.cast(kind)
    return column, broken


def _read_text(file: Path, rows: _Rows, block_bytes: int) -> Iterator[pa.RecordBatch]:
    """Read the columns of ``TYPES`` that a file has, as strings."""
    read = csv.ReadOptions(block_size=block_bytes, use_threads=False)
    skipping: Any = rows.skip
    try:
        parse, all_columns = _parse_options(lambda _: "skip"), _as_text([])
        with csv.open_csv(file, read_options=read, parse_options=parse, convert_options=all_columns) as header:
            names = header.schema.names
        require_columns(names, f"The audience {file.name}")
        parse, some = _parse_options(skipping), _as_text([name for name in TYPES if name in names])
        with csv.open_csv(file, read_options=read, parse_options=parse, convert_options=some) as reader:
            yield from map(decoded, reader)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        if "straddling object" in str(error):
            raise InputError(
                f"The audience {file.name} has a row of more than {block_bytes:,} bytes.",
                f"It begins after line {rows.read + 1:,}; perhaps a quotation mark lacks its second.",
                "Leave this row out, then start again.",
            ) from error
        raise InputError(
            f"The audience {file.name} cannot be read.",
            str(error),
            f"Supply CSV in UTF-8 with the header {', '.join(TYPES)} (user_id and any of the others).",
        ) from error


def require_columns(names: list[str], where: str) -> None:
    """Refuse a file without users, or with two columns of one name.

    Raises
    ------
    InputError
        The column of the users is missing, or a column of ``TYPES`` is there twice.
    """
    if schema.USER_ID not in names:
        raise InputError(
            f"{where} has no column user_id.",
            f"It has {', '.join(map(shown, names)) or 'none'}.",
            "Name the column of the users user_id.",
        )
    if twice := [name for name in TYPES if names.count(name) > 1]:
        raise InputError(
            f"{where} has a column twice.",
            f"Its header has {', '.join(twice)} more than once, so a value would be ambiguous.",
            "Leave all but one of them out.",
        )


def _parse_options(invalid_row_handler: Any) -> csv.ParseOptions:
    # Otherwise a block may end at a newline between quotes. Such a user breaks a rule, which then can be told.
    return csv.ParseOptions(newlines_in_values=True, invalid_row_handler=invalid_row_handler)


def _as_text(names: list[str]) -> csv.ConvertOptions:
    # Arrow's own words for NULL are names of users too. Some programs quote all fields, the empty ones too. Texts that
    # are not UTF-8 break a rule of their user.
    return csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        include_columns=names,
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
        check_utf8=False,
    )
