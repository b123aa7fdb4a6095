"""The log of sends whose outcome is known, from which other policies are judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from visitcast.data import schema
from visitcast.data.schema import HOURS

VISITED: Final = "visited"
"""Whether the user visited within a day of the send."""
_COLUMNS: Final = pa.schema(
    [  # type: ignore[arg-type,unused-ignore]
        (schema.USER_ID, pa.string()),
        (schema.SEND_HOUR, pa.int64()),
        (schema.WITHHELD, pa.string()),
        (schema.PROPENSITY, pa.float64()),
        (schema.POSSIBLE_HOURS, pa.int32()),
        (schema.VISIT_PROBABILITY, pa.float64()),
        (schema.HOUR_PROBABILITIES, pa.list_(pa.float32())),
        (VISITED, pa.float64()),
    ]
)

NO_SEND: Final = -1
"""Hour of a row whose user got no push."""

Floats = NDArray[np.float64]
Hours = NDArray[np.int64]


@dataclass(frozen=True)
class SendLog:
    """Sends that were handed over, and would-be sends of users who were left without a push at random.

    Attributes
    ----------
    user : str array [rows]
        Users; one has a row for each date.
    hour : int64 array [rows]
        Local hour of the send, or ``NO_SEND``.
    propensity : float64 array [rows]
        Probability with which the user got this hour, or no push; > 0.
    possible : bool array [rows, 24]
        Hours in which a push could go out; at least one.
    visit_hour : float32 array [rows, 24]
        Forecast chance of a visit in the hour on a day with a visit.
    visit_probability : float64 array [rows]
        Forecast probability that the user comes; 0 for users who had never come.
    visited : float64 array [rows]
        1 if the user visited within a day of the send, or of the instant at which it would have been; else 0.
    """

    user: NDArray[Any]
    hour: Hours
    propensity: Floats
    possible: NDArray[np.bool_]
    visit_hour: NDArray[np.float32]
    visit_probability: Floats
    visited: Floats

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.hour)

    @property
    def sends(self) -> int:
        """Number of pushes."""
        return int((self.hour != NO_SEND).sum())

    def take(self, rows: NDArray[Any]) -> SendLog:
        """Return some of the rows."""
        return SendLog(**{name: values[rows] for name, values in vars(self).items()})


def read_send_log(files: Sequence[Path]) -> SendLog:
    """Read what ``sql/forecast/send_log.sql`` wrote, Parquet files in any order; none are an empty log."""
    tables = [pq.ParquetFile(file).read().select(_COLUMNS.names).cast(_COLUMNS) for file in files]
    table = pa.concat_tables([_COLUMNS.empty_table(), *tables]).combine_chunks()
    hour, withheld = table[schema.SEND_HOUR].to_numpy(), table[schema.WITHHELD].is_valid().to_numpy()
    masks = table[schema.POSSIBLE_HOURS].to_numpy()
    chances: Any = pa.concat_arrays(table[schema.HOUR_PROBABILITIES].chunks or [pa.array([], pa.list_(pa.float32()))])
    return SendLog(
        user=table[schema.USER_ID].to_pandas().to_numpy(dtype=object),
        hour=np.where(withheld, NO_SEND, hour),
        propensity=table[schema.PROPENSITY].to_numpy(),
        possible=(masks[:, None] >> np.arange(HOURS) & 1).astype(np.bool_),
        visit_hour=chances.flatten().to_numpy().reshape(-1, HOURS),
        visit_probability=np.nan_to_num(table[schema.VISIT_PROBABILITY].to_numpy()),
        visited=table[VISITED].to_numpy(),
    )
