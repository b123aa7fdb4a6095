"""Features from the definition and the fitted numbers; NumPy alone.

The serving image has neither scikit-learn nor pandas. So what is fitted is kept as plain numbers, which training writes
into the model as JSON, and the same functions make features of them everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visitcast.data.dataset import Dataset
from visitcast.errors import InputError
from visitcast.features.definition import HISTORY, SCALED_BLOCKS, TARGET, Block, Days
from visitcast.features.histogram_features import histogram_feature_names, histogram_features, log_prior
from visitcast.features.histograms import decayed_histograms


@dataclass(frozen=True)
class Encoding:
    """What was fitted on the days before the first cut-off.

    Attributes
    ----------
    scaling : dict of str to (float, float)
        Mean and standard deviation of each scaled feature by its name.
    first_hour_shares, visited_shares : float32 arrays [24]
        Over all users: share of the days whose first visit fell in the hour (sums to 1), and share of the days on
        which the hour was visited.
    """

    scaling: dict[str, tuple[float, float]]
    first_hour_shares: NDArray[np.float32]
    visited_shares: NDArray[np.float32]

    @cached_property
    def moments(self) -> dict[tuple[str, ...], NDArray[np.float64]]:
        """Means and standard deviations of each scaled block, [2, features], by the names of its features."""
        return {block.names: np.array([self.scaling[name] for name in block.names]).T for block in SCALED_BLOCKS}


@dataclass(frozen=True)
class Features:
    """Features of N visit days.

    Attributes
    ----------
    history : float32 array [N, F_history]
        What happened on the day. Never an input to the forecast of the same row.
    target : float32 array [N, F_target]
        What is known before the day.
    log_prior : float32 array [N, 24]
        Log of the user's smoothed first-hour shares before the day; a network may add it to its logits.
    """

    history: NDArray[np.float32]
    target: NDArray[np.float32]
    log_prior: NDArray[np.float32]


def history_names() -> list[str]:
    """Return the names of the history features, in the order of their columns."""
    return [name for block in HISTORY for name in block.names]


def target_names() -> list[str]:
    """Return the names of the target features, in the order of their columns."""
    return [*(name for block in TARGET for name in block.names), *histogram_feature_names()]


def transform(encoding: Encoding, dataset: Dataset, histograms: NDArray[np.float32] | None = None) -> Features:
    """Compute the features of every row of a dataset.

    Parameters
    ----------
    encoding : Encoding
        Fitted numbers.
    dataset : Dataset
        Visit days, possibly with days to forecast appended.
    histograms : float32 array [N, len(Channel), 24], optional
        ``decayed_histograms(dataset)``, where the caller has it already.
    """
    counts = decayed_histograms(dataset) if histograms is None else histograms
    days = Days(dataset)
    return Features(_encode(encoding, HISTORY, days), *_target_features(encoding, days, counts))


def history_reader(encoding: Encoding, dataset: Dataset) -> Callable[[NDArray[np.int64]], NDArray[np.float32]]:
    """Return a reader of history features by row numbers: [rows] to float32 [rows, F_history]."""
    return lambda rows: _encode(encoding, HISTORY, Days(dataset, rows))


def calendar_features(encoding: Encoding, dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Compute the target features without those of the histograms, which come after them, [rows, features]."""
    return _encode(encoding, TARGET, Days(dataset, rows))


def target_features(
    encoding: Encoding,
    dataset: Dataset,
    rows: NDArray[np.int64],
    histograms: NDArray[np.float32],
    eve_hours: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compute what is known before some days.

    Parameters
    ----------
    encoding : Encoding
        Fitted numbers.
    dataset : Dataset
        Visit days, those to forecast among them.
    rows : int64 array [rows]
        Days to forecast.
    histograms : float32 array [rows, len(Channel), 24]
        Decayed histograms of the known visits before each of them.
    eve_hours : float64 array [rows], optional
        Hours of the day before that are known, see :class:`visitcast.features.definition.Days`. Default: 24.

    Returns
    -------
    target : float32 array [rows, F_target]
        Features.
    log_prior : float32 array [rows, 24]
        Log of the user's smoothed first-hour shares before the day.
    """
    return _target_features(encoding, Days(dataset, rows, eve_hours), histograms)


def _target_features(
    encoding: Encoding, days: Days, histograms: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    logs = log_prior(encoding.first_hour_shares, histograms)
    blocks = histogram_features(encoding.first_hour_shares, encoding.visited_shares, histograms, logs)
    return np.concatenate([_encode(encoding, TARGET, days), *blocks], axis=1), logs


def _encode(encoding: Encoding, blocks: Sequence[Block], days: Days) -> NDArray[np.float32]:
    """Encode blocks and put them side by side, float32 [rows, features]."""
    encoded = []
    for block in blocks:
        values = block.encode(days)
        if block.encoder.scaled:
            mean, deviation = encoding.moments[block.names]
            values -= mean
            values /= deviation
        encoded.append(values)
    return np.concatenate(encoded, axis=1, dtype=np.float32, casting="unsafe")


def to_json(encoding: Encoding) -> dict[str, Any]:
    """Turn an encoding into a JSON object; JSON keeps every bit of a float."""
    return {
        "history_features": history_names(),
        "target_features": target_names(),
        "scaling": encoding.scaling,
        "first_hour_shares": encoding.first_hour_shares.tolist(),
        "visited_shares": encoding.visited_shares.tolist(),
    }


def from_json(content: Mapping[str, Any]) -> Encoding:
    """Restore an encoding from what :func:`to_json` returned.

    Raises
    ------
    InputError
        The features are not those of this program.
    """
    found = [*content.get("history_features", []), *content.get("target_features", [])]
    expected = [*history_names(), *target_names()]
    if found != expected:
        differences = {
            "only in the model": set(found) - set(expected),
            "only in this image": set(expected) - set(found),
        }
        named = [f"{where}: {', '.join(sorted(names))}" for where, names in differences.items() if names]
        raise InputError(
            "The model was trained on other features.",
            ("; ".join(named) or "The same ones, in another order") + ".",
            "Train again with this image, or serve the model with the image that trained it.",
        )
    return Encoding(
        scaling={name: (mean, deviation) for name, (mean, deviation) in content["scaling"].items()},
        first_hour_shares=np.asarray(content["first_hour_shares"], dtype=np.float32),
        visited_shares=np.asarray(content["visited_shares"], dtype=np.float32),
    )
