"""The batch transform's answers, in the order of the user list.

They are published only if every user is answered exactly once, with probabilities.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.json
from numpy.typing import NDArray

from visitcast.data import schema
from visitcast.data.schema import HOURS
from visitcast.errors import InputError

SUM_TOLERANCE: Final = 1e-3
_SHOWN: Final = 5
_LINE_SCHEMA: Final = pa.schema(
    [
        (schema.USER_ID, pa.string()),
        (schema.DATE, pa.string()),
        (schema.FIRST_HOUR_PROBABILITIES, pa.list_(pa.float32())),
        (schema.HOUR_PROBABILITIES, pa.list_(pa.float32())),
        (schema.VISIT_PROBABILITY, pa.float32()),
        (schema.SOURCE, pa.string()),
    ]
)
_BLOCK_BYTES: Final = 8 * 2**20


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of all users asked for, in the order of the user list.

    Attributes
    ----------
    first_visit_hour : float32 array [users, 24]
        Sums to 1.
    visit_hour : float32 array [users, 24]
        Chance of a visit in the hour, given that the user comes that day.
    visit_probability : float32 array [users]
        Probability that the user comes on the date; NaN for a user who never came.
    source : object array [users]
        Which part of the model answered, one of ``schema.SOURCES``.
    """

    first_visit_hour: NDArray[np.float32]
    visit_hour: NDArray[np.float32]
    visit_probability: NDArray[np.float32]
    source: NDArray[np.object_]

    @property
    def best_hour(self) -> NDArray[np.int64]:
        """Hour with the highest chance of a visit, [users]."""
        return np.asarray(self.visit_hour.argmax(axis=1))

    @property
    def confidence(self) -> NDArray[np.float32]:
        """Chance of a visit in the best hour, [users]."""
        return np.asarray(self.visit_hour.max(axis=1))


def gather(users: pa.Table, files: Sequence[Path], date: str) -> Forecasts:
    """Read the answers and bring the forecasts into the order of the user list.

    Parameters
    ----------
    users : pyarrow.Table
        What :func:`visitcast.sending.requests.write_requests` returned.
    files : sequence of Path
        Output of the batch transform: one JSON object per line.
    date : str
        The date asked for.

    Raises
    ------
    InputError
        A user is missing, appears twice or was not asked for; another date; not 24 numbers; NaN; a sum that is not 1; a
        chance outside 0 to 1.
    """
    first = np.zeros((users.num_rows, HOURS), dtype=np.float32)
    visited = np.zeros_like(first)
    probability = np.full(users.num_rows, np.nan, dtype=np.float32)
    source = np.empty(users.num_rows, dtype=object)
    ids = pd.Index(users[schema.USER_ID].to_pandas())
    answered = np.zeros(users.num_rows, dtype=np.int64)
    for file, batch in _batches(files):
        names = batch.column(schema.USER_ID).to_pandas()
        rows = ids.get_indexer(pd.Index(names))
        _refuse(rows < 0, names, "was not asked for", file)
        _refuse(batch.column(schema.DATE).to_pandas().to_numpy() != date, names, f"is not for {date}", file)
        np.add.at(answered, rows, 1)
        first[rows] = _matrix(batch.column(schema.FIRST_HOUR_PROBABILITIES), file)
        visited[rows] = _matrix(batch.column(schema.HOUR_PROBABILITIES), file)
        probability[rows] = batch.column(schema.VISIT_PROBABILITY).to_numpy(zero_copy_only=False)
        source[rows] = batch.column(schema.SOURCE).to_pylist()
    _refuse(answered > 1, ids, "was answered twice", "the answers")
    _refuse(answered == 0, ids, "was asked for and not answered", "the answers")
    came = users[schema.HISTORY_DAYS].to_numpy() > 0
    _refuse(np.isnan(probability) & came, ids, "has visit days and no probability of a visit", "the answers")
    forecasts = Forecasts(first, visited, probability, source)
    check(ids, forecasts)
    return forecasts


def check(ids: Any, forecasts: Forecasts) -> None:
    """Check that forecasts are probabilities of a known source.

    Raises
    ------
    InputError
        Naming the rule and up to five users.
    """
    first, visited = forecasts.first_visit_hour, forecasts.visit_hour
    infinite = ~np.isfinite(first).all(axis=1) | ~np.isfinite(visited).all(axis=1)
    _refuse(infinite, ids, "contains NaN or infinity", "")
    _refuse((first < 0).any(axis=1), ids, "has a negative probability", "")
    off = np.abs(first.sum(axis=1, dtype=np.float64) - 1) > SUM_TOLERANCE
    _refuse(off, ids, f"has first-visit probabilities that do not sum to 1 within {SUM_TOLERANCE}", "")
    _refuse(((visited < 0) | (visited > 1)).any(axis=1), ids, "has a chance of a visit outside 0 to 1", "")
    probability = forecasts.visit_probability
    _refuse((probability < 0) | (probability > 1), ids, "has a probability of a visit outside 0 to 1", "")
    unknown = ~pd.Series(forecasts.source).isin(schema.SOURCES).to_numpy()
    _refuse(unknown, ids, f"has a source other than {' and '.join(schema.SOURCES)}", "")


def _batches(files: Sequence[Path]) -> Iterable[tuple[str, pa.RecordBatch]]:
    parse = pyarrow.json.ParseOptions(explicit_schema=_LINE_SCHEMA, unexpected_field_behavior="ignore")
    read = pyarrow.json.ReadOptions(block_size=_BLOCK_BYTES)
    for file in files:
        try:
            with pyarrow.json.open_json(file, read_options=read, parse_options=parse) as reader:
                for batch in reader:
                    yield file.name, batch
        except (pa.ArrowException, OSError) as error:
            raise InputError(
                f"The answers {file.name} cannot be read.",
                str(error),
                "They must be JSON Lines as the serving image writes them; look into the transform job's log.",
            ) from error


def _matrix(lists: Any, source: str) -> NDArray[np.float32]:
    values = lists.flatten().to_numpy(zero_copy_only=False)
    lengths = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    if (lengths != HOURS).any():
        raise InputError(
            "A forecast does not have 24 hours.",
            f"{int((lengths != HOURS).sum()):,} of {len(lengths):,} forecasts in {source} have another number.",
            "Check that the model in production and the serving image belong together.",
        )
    return np.asarray(values.reshape(-1, HOURS), dtype=np.float32)


def _refuse(wrong: Any, ids: Any, rule: str, source: str) -> None:
    if not wrong.any():
        return
    rows = np.flatnonzero(wrong)
    shown = ", ".join(str(ids[row]) for row in rows[:_SHOWN])
    raise InputError(
        "The forecasts failed validation; nothing was published.",
        f"{len(rows):,} of {len(wrong):,} users{f' in {source}' if source else ''}: each {rule}, such as {shown}.",
        "Look into the log of the transform job; yesterday's table stays as it is.",
    )
