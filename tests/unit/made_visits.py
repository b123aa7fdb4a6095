"""Made visits for the tests: frames and datasets of any size, and CSV files as Athena writes them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st
from numpy.typing import NDArray

from visitcast.data import schema
from visitcast.data.dataset import Dataset, of_columns

AS_OF = datetime(2026, 11, 23, 12, tzinfo=UTC)


def made_frame(users: int = 30, mean_days: float = 20.0, seed: int = 0) -> pd.DataFrame:
    """Valid visits, sorted, of users with their own favourite hours; the last days lie before ``AS_OF``."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        days = int(rng.geometric(1 / mean_days))
        dates = np.datetime64("2026-11-20") - np.cumsum(rng.geometric(0.4, size=days))[::-1]
        favourite = rng.integers(24)
        for day in dates:
            hours = np.unique((favourite + rng.integers(-2, 3, size=rng.integers(1, 4))) % 24)
            views = rng.multinomial(rng.integers(1, 20), [0.4, 0.3, 0.2, 0.1])
            rows.append(
                {
                    schema.USER_ID: f"user-{user:04d}",
                    schema.VISIT_DATE: str(day),
                    schema.TOTAL_TIME_SPENT_S: int(rng.integers(0, 5000)),
                    schema.TOTAL_PAGE_VIEWS: int(views.sum()),
                    **dict(zip(schema.PAGE_VIEWS_BY_TYPE, views.tolist(), strict=True)),
                    schema.FIRST_VISIT_HOUR: int(hours[0]),
                    schema.LAST_VISIT_HOUR: int(hours[-1]),
                    schema.HOURLY_VISITS: int((1 << hours).sum()),
                    schema.PLATFORM: schema.PLATFORMS[int(rng.integers(4))],
                    schema.UTC_OFFSET_MINUTES: 60,
                }
            )
    frame = pd.DataFrame(rows)
    for column in schema.VISITS:
        if column.name not in frame:  # One that a new event column brought.
            frame[column.name] = rng.integers(column.minimum, column.maximum, len(frame), endpoint=True)
    return frame[list(schema.VISITS_COLUMNS)]


def from_frame(visits: pd.DataFrame) -> Dataset:
    """Dataset of valid visits in any order, by other means than the product's readers."""
    days = visits.sort_values([schema.USER_ID, schema.VISIT_DATE])
    user_ids, lengths = np.unique(days[schema.USER_ID].to_numpy(dtype=np.str_), return_counts=True)
    columns = {
        **{name: days[name].to_numpy() for name in schema.VISITS_COLUMNS},
        schema.VISIT_DATE: days[schema.VISIT_DATE].to_numpy(dtype="datetime64[D]").astype(int),
        schema.PLATFORM: days[schema.PLATFORM].map(schema.PLATFORMS.index).to_numpy(),
    }
    return of_columns(user_ids, np.append(0, np.cumsum(lengths)), columns)


def made_dataset(users: int = 30, mean_days: float = 20.0, seed: int = 0) -> Dataset:
    """Dataset of :func:`made_frame`."""
    return from_frame(made_frame(users, mean_days, seed))


def datasets(max_users: int = 6) -> st.SearchStrategy[Dataset]:
    """Datasets of few users with short and long histories."""
    return st.builds(
        made_dataset,
        users=st.integers(1, max_users),
        mean_days=st.sampled_from([1.0, 3.0, 30.0]),
        seed=st.integers(0, 10_000),
    )


def history_of(dataset: Dataset, user: int, days: int) -> Dataset:
    """The first days of one user."""
    rows = slice(dataset.offsets[user], dataset.offsets[user] + days)
    columns = {name: values[rows] for name, values in dataset.columns.items()}
    return Dataset(dataset.user_ids[user : user + 1], np.array([0, days]), columns)


def changed(dataset: Dataset, **columns: NDArray[Any]) -> Dataset:
    """The dataset with other values in some columns."""
    return replace(dataset, columns={**dataset.columns, **columns})


def write_csv(file: Path, frame: pd.DataFrame) -> Path:
    """Write as Athena does: every value in double quotes, NULL as nothing at all."""
    lines = [",".join(f'"{name}"' for name in frame.columns)]
    rows = frame.astype(object).itertuples(index=False)
    lines += [",".join("" if value is None else f'"{value}"' for value in row) for row in rows]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def assert_same_dataset(one: Dataset, other: Dataset) -> None:
    """Fail unless all arrays are equal."""
    assert one.columns.keys() == other.columns.keys()
    for name in ("user_ids", "offsets", *one.columns):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def write_histories(file: Path, frame: pd.DataFrame, typed: bool = True) -> Path:
    """Write as Athena's UNLOAD does: a row per user, the values of its visits in lists."""
    if typed:
        frame = frame.assign(visit_date=pd.to_datetime(frame[schema.VISIT_DATE]).dt.date)
    lists = frame.astype(object).groupby(schema.USER_ID, sort=False).agg(list)
    table = pa.table({schema.USER_ID: pa.array(lists.index, pa.string())} | {n: pa.array(lists[n]) for n in lists})
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.select(list(frame.columns)), file)
    return file
