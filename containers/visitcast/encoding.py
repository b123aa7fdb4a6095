"""The fitted feature pipeline as plain numbers.

Importing scikit-learn and pandas takes over a second and 250 MB, more than a serving process needs for everything
else. So training writes the pipeline's numbers (:func:`visitcast.features.export`) beside ``transformer.joblib``,
which stays the source of truth, and forecasts are made from them. A test holds both to the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from visitcast.dataset import Dataset, hour_flags
from visitcast.frames import history_columns, target_columns
from visitcast.histogram_features import histogram_features, log_prior

Kind = Literal["log_scaled", "scaled", "circle", "one_hot", "hour_flags", "copied"]
Block = NDArray[Any]


@dataclass(frozen=True)
class Step:
    """One transformer: the columns that it reads and the numbers that it learnt.

    Attributes
    ----------
    kind : str
        What it does.
    columns : tuple of str
        Names of its input columns.
    mean, scale : tuple of float
        Per column, for ``scaled`` and ``log_scaled``.
    size : int
        Values of a ``one_hot`` (0..size-1), or period of a ``circle``.
    """

    kind: Kind
    columns: tuple[str, ...]
    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    size: int = 0


@dataclass(frozen=True)
class Encoding:
    """Everything of a fitted :class:`visitcast.features.FeaturePipeline` that transforming needs.

    Attributes
    ----------
    history, target : tuple of Step
        Steps for visit days and for days to forecast; their outputs stand side by side, in this order.
    first_hour_shares, visited_shares : float32 arrays [24]
        As in the pipeline.
    """

    history: tuple[Step, ...]
    target: tuple[Step, ...]
    first_hour_shares: NDArray[np.float32]
    visited_shares: NDArray[np.float32]


def history_reader(encoding: Encoding, dataset: Dataset) -> Callable[[NDArray[np.int64]], NDArray[np.float32]]:
    """Give a function from row numbers [rows] to their history features, float32 [rows, F_history]."""
    columns = history_columns(dataset)
    return lambda rows: apply(encoding.history, columns, rows)


def target_features(
    encoding: Encoding, dataset: Dataset, rows: NDArray[np.int64], histograms: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Features of some days to forecast.

    Parameters
    ----------
    encoding : Encoding
        Exported pipeline.
    dataset : Dataset
        Visit days, those to forecast among them.
    rows : int64 array [rows]
        Days to forecast.
    histograms : float32 array [rows, len(Channel), 24]
        Decayed histograms before each of them.

    Returns
    -------
    target : float32 array [rows, F_target]
        What is known before the day.
    log_prior : float32 array [rows, 24]
        Log of the user's smoothed first-hour shares before the day.
    """
    calendar = apply(encoding.target, target_columns(dataset), rows)
    logs = log_prior(encoding.first_hour_shares, histograms)
    blocks = histogram_features(encoding.first_hour_shares, encoding.visited_shares, histograms, logs)
    return np.concatenate([calendar, *blocks], axis=1), logs


def apply(steps: Sequence[Step], columns: Mapping[str, NDArray[Any]], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Run the steps over some rows of the columns and put their outputs side by side, float32 [rows, features]."""
    blocks = [_KINDS[step.kind](step, [columns[name][rows] for name in step.columns]) for step in steps]
    return np.concatenate(blocks, axis=1, dtype=np.float32, casting="unsafe")


def _scaled(step: Step, values: list[NDArray[Any]]) -> Block:
    # scikit-learn subtracts and divides in float64 too: the bits are the same.
    scaled: Block = (np.stack(values, axis=1).astype(np.float64) - step.mean) / step.scale
    return scaled


def _log_scaled(step: Step, values: list[NDArray[Any]]) -> Block:
    return _scaled(step, [np.log1p(column.astype(np.float64)) for column in values])


def _circle(step: Step, values: list[NDArray[Any]]) -> Block:
    angle = 2 * np.pi * np.arange(step.size) / step.size
    phases = [column % step.size for column in values]
    return np.stack([table[phase] for table in (np.sin(angle), np.cos(angle)) for phase in phases], axis=1)


def _one_hot(step: Step, values: list[NDArray[Any]]) -> Block:
    (column,) = values
    known = (column >= 0) & (column < step.size)  # any other value gives zeros
    rows = np.vstack([np.eye(step.size, dtype=np.float32), np.zeros((1, step.size), dtype=np.float32)])
    encoded: Block = rows[np.where(known, column, step.size)]
    return encoded


def _hour_flags(_step: Step, values: list[NDArray[Any]]) -> Block:
    return hour_flags(values[0])


def _copied(_step: Step, values: list[NDArray[Any]]) -> Block:
    return np.stack(values, axis=1).astype(np.float64)


_KINDS: Final[dict[Kind, Callable[[Step, list[NDArray[Any]]], Block]]] = {
    "log_scaled": _log_scaled,
    "scaled": _scaled,
    "circle": _circle,
    "one_hot": _one_hot,
    "hour_flags": _hour_flags,
    "copied": _copied,
}


def to_json(encoding: Encoding) -> dict[str, Any]:
    """Turn an encoding into a JSON object; JSON keeps every bit of a float."""
    return {
        "history": [asdict(step) for step in encoding.history],
        "target": [asdict(step) for step in encoding.target],
        "first_hour_shares": encoding.first_hour_shares.tolist(),
        "visited_shares": encoding.visited_shares.tolist(),
    }


def from_json(content: Mapping[str, Any]) -> Encoding:
    """Restore an encoding from what :func:`to_json` gave."""
    return Encoding(
        history=tuple(_step(step) for step in content["history"]),
        target=tuple(_step(step) for step in content["target"]),
        first_hour_shares=np.asarray(content["first_hour_shares"], dtype=np.float32),
        visited_shares=np.asarray(content["visited_shares"], dtype=np.float32),
    )


def _step(content: Mapping[str, Any]) -> Step:
    lists = {name: tuple(content[name]) for name in ("columns", "mean", "scale")}
    return Step(kind=content["kind"], size=content["size"], **lists)
