"""First job: turn recent histories into request lines for the batch transform, and list all users.

Every user gets a line, even without a visit in these histories: the model answers for all, as at the endpoint.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from itertools import count, islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from visitcast.data import schema
from visitcast.data.calendar import date_of
from visitcast.data.dataset import Dataset, last_rows, select_users
from visitcast.data.left_out import LeftOut
from visitcast.data.schedule import HISTORY_VISIT_DAYS
from visitcast.errors import InputError
from visitcast.sending import zones

LEFT_OUT_FILE: Final = "left_out.json"
_PLATFORM_NAMES: Final = np.array(schema.PLATFORMS)


class Asked(NamedTuple):
    """What is asked of every user.

    Attributes
    ----------
    date : int
        Date to forecast, days since 1970-01-01.
    as_of : datetime
        Instant at which the visits end, in UTC.
    """

    date: int
    as_of: datetime


def write_requests(
    blocks: Iterator[Dataset],
    audience: pd.DataFrame,
    asked: Asked,
    folder: Path,
    users_per_file: int,
    left_out: LeftOut,
) -> pa.Table:
    """Write a request line for every user, and list the users.

    Parameters
    ----------
    blocks : iterator of Dataset
        Visit days; whole users, each once. A forecast is made from the last ``HISTORY_VISIT_DAYS`` of a user; earlier
        ones only tell the time zone.
    audience : DataFrame
        What :func:`visitcast.sending.audience.read_audience` returned.
    asked : Asked
        Date to forecast, and when the visits end.
    folder : Path
        Gets ``requests-00000.jsonl`` and so on.
    users_per_file : int
        Lines in each file but the last.
    left_out : LeftOut
        Users who break a rule in the blocks or the audience; they get no line, even if the other is without fault.

    Returns
    -------
    pyarrow.Table
        Users with recent visits, then the rest of the audience: ``user_id``, ``platform``, ``utc_offset_minutes``,
        ``time_zone``, ``inferred_time_zone``, ``last_visit_date``, ``history_days`` and ``last_push_at``.

    Raises
    ------
    InputError
        A visit is not before the date, or most users were left out.
    """
    users: list[pd.DataFrame] = []
    inferred: list[zones.Inferred] = []

    def lines() -> Iterator[str]:
        for found in blocks:
            _require_days_before(found, asked.date)
            block = _without(found, left_out)
            if block.users == 0:
                continue
            inferred.append(zones.infer(block, asked.date))
            recent = last_rows(block, HISTORY_VISIT_DAYS)
            users.append(_last_known(recent))
            yield from request_lines(recent, asked)
        if not users:
            left_out.require_few(0)
        absent = audience.index.difference(pd.concat(users).index)
        absent = absent[~left_out.holds(absent)]
        users.append(audience.loc[absent, [schema.PLATFORM, schema.UTC_OFFSET_MINUTES, schema.LAST_VISIT_DATE]])
        yield from (f"{_head(user, asked)}[]}}\n" for user in absent)

    remaining = lines()
    for number in count():
        text = "".join(islice(remaining, users_per_file))
        if not text:
            break
        (folder / f"requests-{number:05d}.jsonl").write_text(text, encoding="utf-8")
    listed = pd.concat(users)
    left_out.require_few(len(listed))
    names = zones.names(inferred, asked.date)
    listed[schema.INFERRED_TIME_ZONE] = np.append(names, np.full(len(listed) - len(names), None))
    return _user_table(listed, audience)


def _without(block: Dataset, left_out: LeftOut) -> Dataset:
    """Drop users whom the audience left out: without its time zone or last push, a push might come at a bad time."""
    broken = left_out.holds(block.user_ids.tolist())
    return select_users(block, np.flatnonzero(~broken)) if broken.any() else block


def _require_days_before(block: Dataset, date: int) -> None:
    latest = int(block.visit_date.max())
    if latest >= date:
        raise InputError(
            "A visit is not before the date to forecast.",
            f"The latest is of {np.datetime64(latest, 'D')}, the forecast is for {np.datetime64(date, 'D')}.",
            "Let the source SQL read days before the forecast date only.",
        )


def request_lines(dataset: Dataset, asked: Asked) -> list[str]:
    """Write one JSON line for each user, the endpoint's request for that user alone, with visits as arrays."""
    offsets: Any = pa.array(dataset.offsets.astype(np.int32))
    pieces: list[Any] = [pa.array([_head(user, asked) for user in dataset.user_ids.tolist()], pa.string()), "{"]
    for column in schema.DAY_COLUMNS:
        # Arrow writes and joins a block's numbers at once; Python would take most of the job's time.
        texts: Any = _texts(column, dataset.columns[column.name])
        quote = "" if column.kind == "integer" else '"'
        joined: Any = pc.binary_join(pa.ListArray.from_arrays(offsets, texts), f"{quote},{quote}")
        pieces += [f'"{column.name}":[{quote}', joined, f"{quote}],"]
    pieces[-1] = pieces[-1].removesuffix(",") + "}}\n"
    lines: list[str] = pc.binary_join_element_wise(*pieces, "").to_pylist()
    return lines


def _texts(column: schema.Column, values: NDArray[Any]) -> Any:
    if column.name == schema.PLATFORM:
        return pa.array(schema.PLATFORMS).take(pa.array(values))
    return pa.array(values, pa.date32() if column.kind == "date" else None).cast(pa.string())


def _head(user: str, asked: Asked) -> str:
    """Write a line up to the user's visits."""
    day, as_of = date_of(asked.date), f"{asked.as_of:%Y-%m-%dT%H:%M:%SZ}"
    return f'{{"{schema.USER_ID}":{json.dumps(user)},"{schema.DATE}":"{day}","{schema.AS_OF}":"{as_of}","visits":'


def _last_known(block: Dataset) -> pd.DataFrame:
    """Describe users by their last visit day, and count their visit days."""
    last = block.offsets[1:] - 1
    return pd.DataFrame(
        {
            schema.PLATFORM: _PLATFORM_NAMES[block.platform[last]],
            schema.UTC_OFFSET_MINUTES: block.utc_offset_minutes[last],
            schema.LAST_VISIT_DATE: block.visit_date[last].astype("datetime64[D]"),
            schema.HISTORY_DAYS: np.diff(block.offsets),
        },
        index=pd.Index(block.user_ids.astype(object), name=schema.USER_ID),
    )


def _user_table(users: pd.DataFrame, audience: pd.DataFrame) -> pa.Table:
    users = users.join(audience[[schema.TIME_ZONE, schema.LAST_PUSH_AT]])
    # Without any visit: the platform "other", and UTC.
    columns: dict[str, Any] = {
        schema.USER_ID: pa.array(users.index, pa.string()),
        schema.PLATFORM: pa.array(users[schema.PLATFORM].fillna("other"), pa.string()),
        schema.UTC_OFFSET_MINUTES: pa.array(users[schema.UTC_OFFSET_MINUTES].fillna(0).astype("int16")),
        schema.TIME_ZONE: pa.array(users[schema.TIME_ZONE], pa.string(), from_pandas=True),
        schema.INFERRED_TIME_ZONE: pa.array(users[schema.INFERRED_TIME_ZONE], pa.string(), from_pandas=True),
        schema.LAST_VISIT_DATE: pa.array(users[schema.LAST_VISIT_DATE].to_numpy("datetime64[D]"), pa.date32()),
        schema.HISTORY_DAYS: pa.array(users[schema.HISTORY_DAYS].fillna(0).astype("int32")),
        schema.LAST_PUSH_AT: pa.array(users[schema.LAST_PUSH_AT], pa.timestamp("s"), from_pandas=True),
    }
    return pa.table(columns)


def write_users(folder: Path, users: pa.Table, left_out: LeftOut) -> None:
    """Write the user list, and who is not on it."""
    pq.write_table(users, folder / "users.parquet", compression="zstd")
    (folder / LEFT_OUT_FILE).write_text(json.dumps(left_out.to_json()) + "\n", encoding="utf-8")
