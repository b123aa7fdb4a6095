"""Compute the features as a first version in pandas would: ``groupby("user_id").apply`` and a loop over the days.

Tests compare :mod:`visitcast.features` with it, and a benchmark their speed. It shares no code with the product: each
feature is computed from what its name promises, so ``first_same_weekday_10_7`` is the share of 7 o'clock among the
first visits on the user's earlier days of the same weekday, of which those ten such days ago count half. Only fitted
numbers are taken over.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float32]

HOURS = range(24)
PLATFORMS = ["ios", "android", "web", "other"]
PERIODS = {"first_visit_hour": 24, "last_visit_hour": 24, "month": 12}
PRIOR_DAYS = np.float32(8)
KERNEL_HOURS = 0.8
KERNEL_REACH = 4
"""Hours farther apart weigh less than 1e-7."""
WEIGHTS_OF = ("first_all", "first_same_weekday_10")
"""Histograms whose number of days others need."""


@dataclass(frozen=True)
class Fitted:
    """Numbers fitted on the training days.

    Attributes
    ----------
    scale : dict
        Mean and standard deviation by the name of the feature.
    first_hour_shares, visited_shares : float32 arrays [24]
        Over all users.
    """

    scale: dict[str, tuple[float, float]]
    first_hour_shares: Floats
    visited_shares: Floats


@dataclass(frozen=True)
class Histogram:
    """A kind of histogram: what it counts, its factor a day, its half-life in days, and on which days it counts."""

    counts: str
    factor: float
    calendar_half_life: float | None
    same: str | None

    @classmethod
    def of(cls, name: str) -> Histogram:
        """Read a name such as ``first_all``, ``visited_15``, ``first_30_calendar_days``, ``first_same_weekday_10``."""
        found = re.fullmatch(r"(first|visited)(?:_same_(day_type|weekday))?_(all|\d+)(_calendar_days)?", name)
        if found is None:
            raise ValueError(f"The oracle does not know the histogram {name}.")
        counts, same, half_life, calendar = found.groups()
        if calendar:
            return cls(counts, 1.0, float(half_life), None)
        return cls(counts, 1.0 if half_life == "all" else 0.5 ** (1 / int(half_life)), None, same)


def features(
    visits: pd.DataFrame, fitted: Fitted, history_names: Sequence[str], target_names: Sequence[str]
) -> tuple[Floats, Floats, Floats]:
    """Compute the features of every visit day.

    Parameters
    ----------
    visits : DataFrame
        Rows of the visits table, sorted by user and date.
    fitted : Fitted
        Fitted numbers.
    history_names, target_names : sequence of str
        Features wanted.

    Returns
    -------
    history, target : float32 arrays [rows, names]
        One column for each name.
    log_prior : float32 array [rows, 24]
        Log of the smoothed shares of the first-visit hours.
    """
    wanted = {re.sub(r"_(\d+|weight)$", "", name) for name in target_names if re.match(r"(first|visited)_", name)}
    histograms = {name: Histogram.of(name) for name in sorted(wanted | {*WEIGHTS_OF, "first_40"})}
    days = visits.reset_index(drop=True)
    days["date"] = pd.to_datetime(days["visit_date"])
    days = days.groupby("user_id", sort=False)[list(days.columns)].apply(_describe, histograms, fitted)
    days = days.reset_index(drop=True)
    log_prior = days[[f"log_prior_{hour}" for hour in HOURS]].to_numpy()
    days = days.assign(**{f"log_prior_{hour}": log_prior[:, hour] + np.float32(3) for hour in HOURS})
    history, target = (
        np.stack([_named(days, name, fitted) for name in names], axis=1) for names in (history_names, target_names)
    )
    return history, target, log_prior


def _describe(user: pd.DataFrame, histograms: dict[str, Histogram], fitted: Fitted) -> pd.DataFrame:
    """Add to a user's visit days all that is known of them before scaling."""
    gap = user["date"].diff().dt.days.fillna(0).astype(int)
    yesterday = user["last_visit_hour"].shift().where(gap == 1, -1).astype(int)
    weekday = user["date"].dt.day_of_week
    columns: dict[str, Any] = {
        "days_since_last_visit": gap,
        "earlier_visit_days": np.arange(len(user)),
        "last_hour_yesterday": yesterday,
        "day_of_week": weekday,
        "day_of_month": user["date"].dt.day,
        "month": user["date"].dt.month,
        "is_weekend": weekday >= 5,
        "eve_known": 1,
        **{f"days_since_last_visit_is_{days}": gap == days for days in (1, 2, 3, 7)},
        **{f"hour_{hour}": user["hourly_visits"] // 2**hour % 2 for hour in HOURS},
        "platform": user["platform"].map(PLATFORMS.index),
    }
    user = user.assign(**columns)
    counts = {name: _decayed(user, histogram) for name, histogram in histograms.items()}
    blocks = {}
    for name, histogram in histograms.items():
        days, prior = counts[name].sum(axis=1, keepdims=True), fitted.first_hour_shares
        if histogram.counts == "visited":
            days, prior = _days_behind(histogram, counts), fitted.visited_shares
        blocks[name] = np.float32(10) * ((counts[name] + PRIOR_DAYS * prior) / (days + PRIOR_DAYS))
    smooth = _smooth(counts["first_40"])
    total = smooth.sum(axis=1, keepdims=True)
    blocks["log_prior"] = np.log((smooth + PRIOR_DAYS * fitted.first_hour_shares) / (total + PRIOR_DAYS))
    weights = {name: np.log1p(counts[name].sum(axis=1)) / np.float32(3) for name in counts}
    hours = pd.DataFrame(
        np.concatenate([*blocks.values(), np.stack(list(weights.values()), axis=1)], axis=1),
        index=user.index,
        columns=[*(f"{name}_{hour}" for name in blocks for hour in HOURS), *(f"{name}_weight" for name in weights)],
    )
    return pd.concat([user, hours], axis=1)


def _decayed(user: pd.DataFrame, histogram: Histogram) -> Floats:
    """Histogram of the user's earlier days before every day, [days, 24]."""
    out = np.empty((len(user), 24), np.float32)
    flags = user[[f"hour_{hour}" for hour in HOURS]].to_numpy(np.float32)
    states: dict[Hashable, Floats] = defaultdict(lambda: np.zeros(24, np.float32))
    days = user[["day_of_week", "is_weekend", "days_since_last_visit", "first_visit_hour"]]
    day: Any
    for number, day in enumerate(days.itertuples()):
        kind = {"weekday": day.day_of_week, "day_type": day.is_weekend, None: None}[histogram.same]
        state = states[kind]
        if histogram.calendar_half_life:
            state *= np.float32(0.5 ** (day.days_since_last_visit / histogram.calendar_half_life))
        out[number] = state
        state *= np.float32(histogram.factor)
        if histogram.counts == "first":
            state[day.first_visit_hour] += 1
        else:
            state += flags[number]
    return out


def _days_behind(histogram: Histogram, counts: dict[str, Floats]) -> Floats:
    """Days that a histogram of hours visited has counted, each as much as it still weighs, [days, 1]."""
    if histogram.same:
        same: Floats = counts["first_same_weekday_10"].sum(axis=1, keepdims=True)
        return same
    days: Floats = counts["first_all"].sum(axis=1, keepdims=True)
    if histogram.factor == 1:
        return days
    decayed: Floats = ((1 - histogram.factor ** days.astype(float)) / (1 - histogram.factor)).astype(np.float32)
    return decayed


def _smooth(counts: Floats) -> Floats:
    """Spread counts over the neighbouring hours with a Gaussian kernel round the clock."""
    apart = [min(hour, 24 - hour) for hour in HOURS]
    kernel = np.exp(-0.5 * (np.array(apart) / KERNEL_HOURS) ** 2)
    kernel = (kernel / kernel.sum()).astype(np.float32)
    total = np.zeros_like(counts)
    for shift in HOURS:
        if apart[shift] <= KERNEL_REACH:
            total += kernel[shift] * np.roll(counts, shift, axis=1)
    return total


def _named(days: pd.DataFrame, name: str, fitted: Fitted) -> Floats:
    """Compute the feature that a name promises, [rows]."""
    encoder, _, rest = name.rpartition("__")
    column, _, part = (rest, "", "") if encoder in ("", "copied", "scaled", "log_scaled") else rest.rpartition("_")
    if column not in days:
        raise ValueError(f"The oracle does not know the feature {name}.")
    values = days[column]
    match encoder:
        case "" | "copied":
            pass
        case "log_scaled":
            values = (np.log1p(values) - fitted.scale[name][0]) / fitted.scale[name][1]
        case "scaled":
            values = (values - fitted.scale[name][0]) / fitted.scale[name][1]
        case "circle":
            angle = 2 * np.pi * values / PERIODS[column]
            values = {"sine": np.sin, "cosine": np.cos}[part](angle)
        case "hour_flags":
            values = values // 2 ** int(part) % 2
        case "one_hot":
            values = values == int(part)
        case _:
            raise ValueError(f"The oracle does not know the feature {name}.")
    return np.asarray(values, dtype=np.float32)
