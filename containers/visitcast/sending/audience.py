"""Users to forecast in addition to recent visitors: those of the last table, and the campaign's own list."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from visitcast.data import identifiers, schema
from visitcast.data.left_out import LeftOut
from visitcast.data.text_values import not_identifiers
from visitcast.errors import InputError

COLUMNS: Final = (
    schema.PLATFORM,
    schema.UTC_OFFSET_MINUTES,
    schema.TIME_ZONE,
    schema.LAST_VISIT_DATE,
    schema.LAST_PUSH_AT,
)

_TYPES: Final[dict[str, Any]] = {
    schema.USER_ID: pa.string(),
    schema.PLATFORM: pa.string(),
    schema.UTC_OFFSET_MINUTES: pa.int16(),
    schema.TIME_ZONE: pa.string(),
    schema.LAST_VISIT_DATE: pa.date32(),
    schema.LAST_PUSH_AT: pa.timestamp("s"),
}
# A time without a zone is ambiguous: the CSV must have Z or an offset.
_CSV_TYPES: Final[dict[str, Any]] = {**_TYPES, schema.LAST_PUSH_AT: pa.timestamp("s", tz="UTC")}


def read_audience(known: Sequence[Path], listed: Sequence[Path], left_out: LeftOut) -> pd.DataFrame:
    """Read both lists; the campaign's list takes precedence over the last table.

    Users with what is not an identifier are left out, those of the last table too: an earlier release may have
    published them.

    Parameters
    ----------
    known : sequence of Path
        Parquet: users of the last table.
    listed : sequence of Path
        CSV with a header: ``user_id`` and any of ``platform``, ``utc_offset_minutes``, ``time_zone`` and
        ``last_push_at`` (with Z or an offset). May list users without visits.
    left_out : LeftOut
        Gets the users who are left out.

    Returns
    -------
    DataFrame
        ``COLUMNS``, indexed by user_id, each user once; missing values are NA.

    Raises
    ------
    InputError
        A file cannot be read, or a row has no user_id.
    """
    from_list = _together([_read_csv(file) for file in listed], left_out)
    from_table = _together([_read_parquet(file) for file in known], left_out)
    return from_list.combine_first(from_table)[list(COLUMNS)]


def _together(tables: Sequence[pa.Table], left_out: LeftOut) -> pd.DataFrame:
    empty = pa.schema(list(_TYPES.items())).empty_table()
    table = pa.concat_tables([empty, *tables])
    ids = table[schema.USER_ID].combine_chunks()
    if ids.null_count or pc.any(pc.equal(ids, pa.scalar(""))).as_py():
        raise InputError("The audience has a row without user_id.", "user_id must be text.", "Leave such rows out.")
    broken = not_identifiers(ids)
    left_out.add(ids.filter(pa.array(broken)).to_pylist(), f"{schema.USER_ID} {identifiers.RULE}")
    frame: Any = table.filter(pa.array(~broken)).to_pandas(date_as_object=False, types_mapper=_nullable)
    joined: pd.DataFrame = frame.drop_duplicates(schema.USER_ID, keep="last").set_index(schema.USER_ID)
    return joined


def _nullable(kind: pa.DataType) -> Any:
    return pd.Int16Dtype() if kind == pa.int16() else None


def _read_csv(file: Path) -> pa.Table:
    try:
        options = pyarrow.csv.ConvertOptions(column_types=_CSV_TYPES, strings_can_be_null=True)
        parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
        return _typed(pyarrow.csv.read_csv(file, parse_options=parse, convert_options=options), file)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise InputError(
            f"The audience {file.name} cannot be read.",
            str(error),
            f"Supply CSV in UTF-8 with the header {', '.join(_TYPES)} (user_id and any of the others).",
        ) from error


def _read_parquet(file: Path) -> pa.Table:
    try:
        return _typed(pq.ParquetFile(file).read(), file)
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{file.name} cannot be read as Parquet.", str(error), "Supply the files of the UNLOAD unchanged."
        ) from error


def _typed(table: pa.Table, file: Path) -> pa.Table:
    if schema.USER_ID not in table.column_names:
        raise InputError(
            f"The audience {file.name} has no column user_id.",
            f"It has {', '.join(table.column_names) or 'none'}.",
            "Name the column of the users user_id.",
        )
    columns: dict[str, Any] = {
        name: table[name].cast(kind, safe=False) if name in table.column_names else pa.nulls(table.num_rows, kind)
        for name, kind in _TYPES.items()
    }
    return pa.table(columns)


def minutes_of(instants: pd.Series) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Convert instants to minutes since the epoch; a missing instant becomes a very small number."""
    seconds = instants.to_numpy(dtype="datetime64[s]").astype(np.int64)
    return np.where(instants.isna(), np.iinfo(np.int32).min // 2, seconds // 60).astype(np.int32)
