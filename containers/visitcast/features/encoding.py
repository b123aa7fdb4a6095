"""The fitted feature pipeline as plain numbers.

Importing scikit-learn and pandas takes over a second and 250 MB, more than a serving process needs for everything
else. So training writes the pipeline's numbers (:func:`visitcast.features.pipeline.export`) beside
``transformer.joblib``, which stays the source of truth, and forecasts are made from them. A test compares both bit by
bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from visitcast.data.dataset import Dataset, hour_bits
from visitcast.features.frames import history_columns, target_columns
from visitcast.features.histogram_features import histogram_features, log_prior

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

    @cached_property
    def moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The columns' means and scales, [columns] each."""
        return np.array(self.mean), np.array(self.scale)

    @cached_property
    def table(self) -> NDArray[np.float32]:
        """What each value turns into.

        For a ``circle`` sine and cosine of 0..size-1, [size, 2]. For a ``one_hot`` the rows of -1..size, [size + 2,
        size]: the first and the last are zero and stand for any other value.
        """
        if self.kind == "one_hot":
            return np.eye(self.size + 2, self.size, k=-1, dtype=np.float32)
        angle = 2 * np.pi * np.arange(self.size) / self.size
        return np.stack([np.sin(angle), np.cos(angle)], axis=1).astype(np.float32)


@dataclass(frozen=True)
class Encoding:
    """Everything of a fitted :class:`visitcast.features.pipeline.FeaturePipeline` that transforming needs.

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
    return lambda rows: apply(encoding.history, history_columns(dataset, rows))


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
    calendar = apply(encoding.target, target_columns(dataset, rows))
    logs = log_prior(encoding.first_hour_shares, histograms)
    blocks = histogram_features(encoding.first_hour_shares, encoding.visited_shares, histograms, logs)
    return np.concatenate([calendar, *blocks], axis=1), logs


def apply(steps: Sequence[Step], columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Run the steps over columns [rows] and put their outputs side by side, float32 [rows, features]."""
    blocks = [_KINDS[step.kind](step, [columns[name] for name in step.columns]) for step in steps]
    return np.concatenate(blocks, axis=1, dtype=np.float32, casting="unsafe")


def _scaled(step: Step, values: list[NDArray[Any]]) -> Block:
    return _scale(step, _side_by_side(values))


def _log_scaled(step: Step, values: list[NDArray[Any]]) -> Block:
    block = _side_by_side(values)
    return _scale(step, np.log1p(block, out=block))


def _scale(step: Step, block: NDArray[np.float64]) -> Block:
    # scikit-learn subtracts and divides in float64 too: the bits are the same.
    mean, scale = step.moments
    block -= mean
    block /= scale
    return block


def _circle(step: Step, values: list[NDArray[Any]]) -> Block:
    block = np.empty((len(values[0]), 2, len(values)), dtype=np.float32)
    for number, column in enumerate(values):
        block[:, :, number] = step.table.take(column, axis=0, mode="wrap")
    return block.reshape(len(block), -1)


def _one_hot(step: Step, values: list[NDArray[Any]]) -> Block:
    (column,) = values
    return step.table.take(column + 1, axis=0, mode="clip")


def _hour_flags(_step: Step, values: list[NDArray[Any]]) -> Block:
    return hour_bits(values[0])


def _copied(_step: Step, values: list[NDArray[Any]]) -> Block:
    return _side_by_side(values)


def _side_by_side(values: list[NDArray[Any]]) -> NDArray[np.float64]:
    """Columns as a matrix, [rows, columns]; ``np.stack`` takes several times as long for few rows."""
    block = np.empty((len(values[0]), len(values)))
    for number, column in enumerate(values):
        block[:, number] = column
    return block


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
