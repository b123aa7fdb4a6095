"""Users to forecast in addition to recent visitors: those of the last table, and the campaign's own list."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from visitcast.data import schema
from visitcast.data.left_out import LeftOut
from visitcast.data.text_values import not_identifiers
from visitcast.errors import InputError
from visitcast.sending.audience_csv import IDENTIFIER, TYPES, read_listed, require_columns

COLUMNS: Final = (
    schema.PLATFORM,
    schema.UTC_OFFSET_MINUTES,
    schema.TIME_ZONE,
    schema.LAST_VISIT_DATE,
    schema.LAST_PUSH_AT,
)


def read_audience(known: Sequence[Path], listed: Sequence[Path], left_out: LeftOut) -> pd.DataFrame:
    """Read both lists; the campaign's list takes precedence over the last table.

    Users with a row that breaks a rule are left out. Those of the last table are too if they have no identifier: an
    earlier release may have published them.

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
        A file cannot be read, or most rows of a list break a rule.
    """
    from_list = _together([table for file in listed for table in read_listed(file, left_out)])
    from_table = _together([_read_parquet(file, left_out) for file in known])
    together = from_list.combine_first(from_table)[list(COLUMNS)]
    return together[~left_out.holds(together.index)]


def _together(tables: Sequence[pa.Table]) -> pd.DataFrame:
    table = pa.concat_tables([pa.schema(list(TYPES.items())).empty_table(), *tables])
    frame: Any = table.to_pandas(date_as_object=False, types_mapper=_nullable)
    joined: pd.DataFrame = frame.drop_duplicates(schema.USER_ID, keep="last").set_index(schema.USER_ID)
    return joined


def _nullable(kind: pa.DataType) -> Any:
    return pd.Int16Dtype() if kind == pa.int16() else None


def _read_parquet(file: Path, left_out: LeftOut) -> pa.Table:
    try:
        found = pq.ParquetFile(file).read()
        require_columns(found.column_names, file.name)
        columns: dict[str, Any] = {
            name: found[name].cast(kind, safe=False) if name in found.column_names else pa.nulls(found.num_rows, kind)
            for name, kind in TYPES.items()
        }
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{file.name} cannot be read as Parquet.", str(error), "Supply the files of the UNLOAD unchanged."
        ) from error
    table = pa.table(columns)
    ids: Any = table[schema.USER_ID].combine_chunks()
    broken = not_identifiers(ids)
    left_out.add(ids.filter(pa.array(broken)).to_pylist(), IDENTIFIER)
    return table.filter(pa.array(~broken))


def minutes_of(instants: pd.Series) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Convert instants to minutes since the epoch; a missing instant becomes a very small number."""
    seconds = instants.to_numpy(dtype="datetime64[s]").astype(np.int64)
    return np.where(instants.isna(), np.iinfo(np.int32).min // 2, seconds // 60).astype(np.int32)
