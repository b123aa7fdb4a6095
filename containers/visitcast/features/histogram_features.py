"""The target features that are computed from the users' decayed histograms."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data import schema
from visitcast.features.histograms import VISITED_CHANNELS, Channel, shares, visit_days_behind
from visitcast.features.smoothing import smooth

PRIOR_WEIGHT: Final = 8
"""Weight of the hour shares over all users in a user's shares, in visit days."""
KERNEL_WIDTH_HOURS: Final = 0.8

_SHARES_OF: Final = tuple(channel for channel in Channel if channel is not Channel.FIRST_40)
_COUNTS_VISITED: Final = np.array([[channel in VISITED_CHANNELS] for channel in _SHARES_OF])
_WEIGHT_OF: Final = (
    Channel.FIRST_ALL,
    Channel.FIRST_40,
    Channel.FIRST_30_CALENDAR_DAYS,
    Channel.FIRST_SAME_DAY_TYPE_40,
    Channel.FIRST_SAME_WEEKDAY_10,
)

HOUR_BLOCKS: Final = 1 + len(_SHARES_OF)
"""Blocks of 24 columns, one column per hour: the log prior and each channel's shares."""
HOUR_COLUMNS: Final = slice(-(HOUR_BLOCKS * schema.HOURS + len(_WEIGHT_OF)), -len(_WEIGHT_OF))
"""Position of these blocks among the target features, whose last ones are those of :func:`histogram_features`."""


def log_prior(first_hour_shares: NDArray[np.float32], histograms: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the log of the users' smoothed first-hour shares, float32 [rows, 24].

    Parameters
    ----------
    first_hour_shares : float32 array [24]
        Shares of the first-visit hours over all users.
    histograms : float32 array [rows, len(Channel), 24]
        Decayed histograms before each day.
    """
    counts = smooth(histograms[:, Channel.FIRST_40], KERNEL_WIDTH_HOURS)
    logs: NDArray[np.float32] = np.log(shares(counts, first_hour_shares, PRIOR_WEIGHT))
    return logs


def histogram_features(
    first_hour_shares: NDArray[np.float32],
    visited_shares: NDArray[np.float32],
    histograms: NDArray[np.float32],
    log_prior: NDArray[np.float32],
) -> list[NDArray[np.float32]]:
    """Compute blocks of features [rows, some columns], in the order of :func:`histogram_feature_names`.

    Parameters
    ----------
    first_hour_shares, visited_shares : float32 arrays [24]
        Over all users: shares of the first-visit hours, and share of the days on which the hour was visited.
    histograms : float32 array [rows, len(Channel), 24]
        Decayed histograms before each day.
    log_prior : float32 array [rows, 24]
        Result of :func:`log_prior` for them.
    """
    days = visit_days_behind(histograms)
    priors = np.where(_COUNTS_VISITED, visited_shares, first_hour_shares)
    counts = histograms.take(_SHARES_OF, axis=1)
    mixed = shares(counts, priors, PRIOR_WEIGHT, days.take(_SHARES_OF, axis=1)[:, :, None])
    mixed *= 10  # Shares are about 1/24; ten times that is near the scale of the other features.
    weights = np.log1p(days.take(_WEIGHT_OF, axis=1))
    weights /= 3
    # Log of 1/24 is about -3: centred on zero.
    return [log_prior + 3, mixed.reshape(len(mixed), -1), weights]


def histogram_feature_names() -> list[str]:
    """Return the names of the columns of :func:`histogram_features`."""
    hours = range(schema.HOURS)
    return [
        *(f"log_prior_{hour}" for hour in hours),
        *(f"{channel.name.lower()}_{hour}" for channel in _SHARES_OF for hour in hours),
        *(f"{channel.name.lower()}_weight" for channel in _WEIGHT_OF),
    ]
