"""The dataset: every user's visit days once, in time order, as flat arrays plus user offsets.

On disk a dataset is a folder of ``manifest.json``, ``shard-00000.npz``, ... and ``transformer.joblib``, written by
:mod:`visitcast.preprocessing`. A user is in exactly one shard; which one does not matter. Rows of user ``u`` are
``offsets[u]:offsets[u + 1]``. Windows of history are never copied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from visitcast.data import schema
from visitcast.data.manifest import Shard, read_manifest
from visitcast.errors import InputError

if TYPE_CHECKING:
    from visitcast.data.rules import Visits

TRANSFORMER_FILE: Final = "transformer.joblib"

# Names of a shard's other arrays.
_USER_IDS: Final = "user_ids"
_OFFSETS: Final = "offsets"


@dataclass(frozen=True)
class Dataset:
    """Visit days of U users, N in all; each user's days in ascending order.

    Each of ``schema.DAY_COLUMNS`` is an attribute of that name: an array [N] of the schema's type. Dates are days since
    1970-01-01, and a platform is its position in ``schema.PLATFORMS``.

    Attributes
    ----------
    user_ids : str array [U]
        Distinct user identifiers.
    offsets : int64 array [U + 1]
        First row of each user, then N.
    columns : dict of str to array [N]
        The columns by name.
    """

    user_ids: NDArray[np.str_]
    offsets: NDArray[np.int64]
    columns: Mapping[str, NDArray[Any]]

    def __getattr__(self, name: str) -> NDArray[Any]:
        # Unpickling asks for attributes before there are any columns.
        try:
            return self.__dict__["columns"][name]  # type: ignore[no-any-return]
        except KeyError:
            raise AttributeError(f"A dataset has no column {name!r}.") from None

    @property
    def users(self) -> int:
        """Number of users U."""
        return len(self.user_ids)

    @property
    def visit_days(self) -> int:
        """Number of rows N."""
        return len(self.visit_date)


_MASKS: Final = np.dtype("<i4")
_PLATFORM_CODES: Final = {name: code for code, name in enumerate(schema.PLATFORMS)}


def require_dataset(visits: object) -> None:
    """Refuse what `read_visits` did not return, such as a DataFrame.

    Raises
    ------
    InputError
        It is not a `Dataset`.
    """
    if not isinstance(visits, Dataset):
        raise InputError(
            "These are not visits.",
            f"They are of the type {type(visits).__name__}.",
            "Pass them through visitcast.read_visits first.",
        )


def user_of_row(dataset: Dataset) -> NDArray[np.int64]:
    """Return the index into ``user_ids`` of every row, [N]."""
    return np.repeat(np.arange(dataset.users), np.diff(dataset.offsets))


def position_in_history(dataset: Dataset, rows: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """Count the earlier active days of the same user, [rows]; [N] without `rows`."""
    offsets = dataset.offsets
    if rows is None:
        return np.arange(dataset.visit_days) - np.repeat(offsets[:-1], np.diff(offsets))
    position: NDArray[np.int64] = rows - offsets[offsets.searchsorted(rows, side="right") - 1]
    return position


def days_since_last_visit(dataset: Dataset, rows: NDArray[np.int64] | None = None) -> NDArray[np.int32]:
    """Count the days since the same user's previous visit day, [rows]; [N] without `rows`. 0 on a user's first day."""
    date = dataset.visit_date
    gaps = np.diff(date, prepend=date[:1]) if rows is None else date[rows] - date[rows - 1]
    gaps[position_in_history(dataset, rows) == 0] = 0
    return gaps


def rows_before(dataset: Dataset, users: NDArray[np.int64], dates: NDArray[Any]) -> NDArray[np.int64]:
    """Return the rows after the last visit days of users before dates, [pairs], from positions of users and dates."""
    span = np.int64(1) << 32
    rows: NDArray[np.int64] = (user_of_row(dataset) * span + dataset.visit_date).searchsorted(users * span + dates)
    return rows


def hour_flags(hourly_visits: NDArray[np.int32]) -> NDArray[np.float32]:
    """Turn masks [rows] into flags [rows, 24] of 0.0 and 1.0."""
    return hour_bits(hourly_visits).astype(np.float32)


def hour_bits(hourly_visits: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Turn masks [rows] into bits [rows, 24]."""
    masks = hourly_visits.astype(_MASKS).view(np.uint8).reshape(-1, 4)
    return np.unpackbits(masks, axis=1, count=schema.HOURS, bitorder="little")


def from_visits(visits: Visits) -> Dataset:
    """Build a dataset from checked visits in any order of rows: users ascending, each user's days ascending."""
    user_ids = visits.distinct[schema.USER_ID].to_numpy(zero_copy_only=False).astype(np.str_)
    user = visits.values[schema.USER_ID]
    # One by one: an array of NumPy's texts has room for the longest in every place, and anybody may send a long one.
    names: list[Any] = visits.distinct[schema.PLATFORM].to_pylist()
    platforms = np.array([platform_code(name) for name in names], dtype=np.int8)
    columns: dict[str, NDArray[Any]] = {**visits.values, schema.PLATFORM: platforms[visits.values[schema.PLATFORM]]}

    key = (user << 32) + visits.values[schema.VISIT_DATE]
    order = slice(None) if np.all(key[1:] > key[:-1]) else np.argsort(key, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=len(user_ids)))])
    return of_columns(user_ids, offsets, {name: values[order] for name, values in columns.items()})


def of_columns(user_ids: NDArray[np.str_], offsets: NDArray[np.int64], columns: Mapping[str, NDArray[Any]]) -> Dataset:
    """Build a dataset from columns that are in its order, and give each column its type.

    Parameters
    ----------
    user_ids : str array [U]
        Users.
    offsets : int64 array [U + 1]
        Where each user's rows begin.
    columns : dict of str to array [N]
        Values of ``schema.DAY_COLUMNS``; platforms as codes, dates as days since 1970-01-01.
    """
    typed = {column.name: columns[column.name].astype(column.dtype) for column in schema.DAY_COLUMNS}
    return Dataset(user_ids, offsets.astype(np.int64), typed)


def platform_codes(names: NDArray[Any]) -> NDArray[np.int8]:
    """Return the codes of platform names, ignoring case. A name that is not in ``schema.PLATFORMS`` is ``other``."""
    distinct, inverse = np.unique(names.astype(np.str_), return_inverse=True)
    return np.array([platform_code(str(name)) for name in distinct], dtype=np.int8)[inverse]


def platform_code(name: str) -> int:
    """Return the code of a platform's name, as in :func:`platform_codes`."""
    # NumPy drops NULs at the end of a string.
    return _PLATFORM_CODES.get(name.rstrip("\0").strip().lower(), _PLATFORM_CODES["other"])


def with_target_days(dataset: Dataset, target_dates: Sequence[int] | NDArray[np.int32]) -> Dataset:
    """Append to every user one row for the day to forecast.

    The new rows (``offsets[1:] - 1``) have a date and otherwise zeros, since the day is not known yet. Target features
    and histograms of a row use earlier rows and its own date only, so serving computes them exactly as training does.

    Parameters
    ----------
    dataset : Dataset
        The users' history.
    target_dates : int array [U]
        Day to forecast per user (days since 1970-01-01), later than the user's last visit day.

    Returns
    -------
    Dataset
        N + U rows.

    Raises
    ------
    InputError
        A target day is not later than the user's last visit day.
    """
    targets = np.asarray(target_dates, dtype=np.int32)
    known = np.flatnonzero(np.diff(dataset.offsets))
    late = known[targets[known] <= dataset.visit_date[dataset.offsets[1:][known] - 1]]
    if len(late):
        raise InputError(
            "A day to forecast is not later than the user's visits.",
            f"{len(late)} users, the first is {dataset.user_ids[late[0]]}.",
            "Send only visit days before the day to forecast.",
        )
    at = dataset.offsets[1:]
    columns = {name: np.insert(values, at, 0) for name, values in dataset.columns.items()}
    offsets = dataset.offsets + np.arange(dataset.users + 1)
    columns[schema.VISIT_DATE][offsets[1:] - 1] = targets
    return Dataset(dataset.user_ids, offsets, columns)


def select_users(dataset: Dataset, users: NDArray[np.int64] | slice) -> Dataset:
    """Keep some users (indices, ascending) and all their rows."""
    chosen = np.arange(dataset.users)[users]
    lengths = np.diff(dataset.offsets)[chosen]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rows = np.repeat(dataset.offsets[:-1][chosen] - offsets[:-1], lengths) + np.arange(offsets[-1])
    return Dataset(dataset.user_ids[chosen], offsets, {name: values[rows] for name, values in dataset.columns.items()})


def last_rows(dataset: Dataset, rows: int) -> Dataset:
    """Keep the last rows of every user, at most `rows`."""
    lengths = np.diff(dataset.offsets)
    if lengths.max(initial=0) <= rows:
        return dataset
    kept = position_in_history(dataset) >= np.repeat(lengths - rows, lengths)
    offsets = np.concatenate([[0], np.cumsum(np.minimum(lengths, rows))]).astype(np.int64)
    return Dataset(dataset.user_ids, offsets, {name: values[kept] for name, values in dataset.columns.items()})


def write_shard(folder: Path, file: str, dataset: Dataset) -> Shard:
    """Write some users, with all their rows, into one file of an existing folder."""
    heads = {_USER_IDS: dataset.user_ids, _OFFSETS: dataset.offsets}
    np.savez(folder / file, allow_pickle=False, **heads, **dataset.columns)
    return Shard(file, dataset.users, dataset.visit_days)


def read(folder: Path) -> Dataset:
    """Read all shards that a dataset's manifest lists, users in ascending order of their identifiers.

    So the result does not depend on how the users were divided into files and instances. Peak memory is the dataset
    and one shard.

    Raises
    ------
    InputError
        There is no manifest, it has another schema version, or a shard is missing or has another length than in the
        manifest.
    """
    shards = read_manifest(folder).shards
    heads = [_read_arrays(folder, shard, (_USER_IDS, _OFFSETS)) for shard in shards]
    user_ids = np.concatenate([head[_USER_IDS] for head in heads])
    lengths = np.concatenate([np.diff(head[_OFFSETS]) for head in heads])
    order = np.argsort(user_ids)
    offsets = np.concatenate([[0], np.cumsum(lengths[order])]).astype(np.int64)
    first_row = np.empty_like(lengths)
    first_row[order] = offsets[:-1]

    columns = {column.name: np.empty(offsets[-1], column.dtype) for column in schema.DAY_COLUMNS}
    users = 0
    for shard in shards:
        part = read_shard(folder, shard)
        starts = first_row[users : users + part.users] - part.offsets[:-1]
        rows = np.repeat(starts, np.diff(part.offsets)) + np.arange(part.visit_days)
        for name, values in part.columns.items():
            columns[name][rows] = values
        users += part.users
    return Dataset(user_ids[order], offsets, columns)


def read_shard(folder: Path, shard: Shard) -> Dataset:
    """Read one shard of a dataset's folder.

    Raises
    ------
    InputError
        The shard is missing, or has another length than in the manifest.
    """
    arrays = _read_arrays(folder, shard, (_USER_IDS, _OFFSETS, *(column.name for column in schema.DAY_COLUMNS)))
    part = Dataset(arrays.pop(_USER_IDS), arrays.pop(_OFFSETS), arrays)
    if (part.users, part.visit_days) != (shard.users, shard.visit_days):
        raise InputError(
            "A shard of the dataset differs from the manifest.",
            f"{shard.file} holds {part.users} users and {part.visit_days} visit days, "
            f"the manifest says {shard.users} and {shard.visit_days}.",
            "Copy the dataset again or run the preprocessing again.",
        )
    return part


def _read_arrays(folder: Path, shard: Shard, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    try:
        with np.load(folder / shard.file, allow_pickle=False) as archive:
            return {name: archive[name] for name in names}
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise InputError(
            "A shard of the dataset cannot be read.",
            f"{shard.file}: {error}",
            "Copy the dataset again or run the preprocessing again.",
        ) from error


def concatenate(datasets: Sequence[Dataset]) -> Dataset:
    """Join datasets of different users, in the order given."""
    sizes = np.cumsum([0, *(part.visit_days for part in datasets)])
    offsets = [part.offsets[:-1] + start for part, start in zip(datasets, sizes, strict=False)]
    return Dataset(
        user_ids=np.concatenate([part.user_ids for part in datasets]),
        offsets=np.concatenate([*offsets, sizes[-1:]]).astype(np.int64),
        columns={name: np.concatenate([part.columns[name] for part in datasets]) for name in datasets[0].columns},
    )
