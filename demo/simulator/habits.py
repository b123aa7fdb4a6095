"""Who the users are: when they come to the app, how often, and how that changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demo.simulator.clock import Clock

Floats = NDArray[np.float64]

ZONES: dict[str, float] = {
    "Europe/Berlin": 0.22,
    "Europe/London": 0.12,
    "America/New_York": 0.18,
    "America/Los_Angeles": 0.10,
    "America/Sao_Paulo": 0.08,
    "Africa/Cairo": 0.06,  # its summer time begins at midnight: a day without hour 0
    "Asia/Kolkata": 0.10,  # +5:30
    "Asia/Kathmandu": 0.02,  # +5:45
    "Asia/Tokyo": 0.07,
    "Australia/Adelaide": 0.05,  # +9:30, in the southern summer +10:30
}
"""Share of the users that live in each zone."""

PLATFORMS: dict[str, float] = {"ios": 0.42, "android": 0.43, "web": 0.15}
"""Share of the users on each platform."""

HABITS = 3
"""Times of the day around which a user's sessions gather."""

_DAY_BIRDS = np.array([7.8, 12.8, 20.3])
_NIGHT_OWLS = np.array([14.0, 20.0, 23.7])
_OWL_SHARE = 0.12
_PAGE_TYPES = np.array([4.0, 2.0, 1.0, 1.0])
_BREAK_STARTS = 1 / 40
_BREAK_ENDS = 1 / 6
BACKGROUND = 0.06
"""Share of a user's sessions that follow no habit."""


@dataclass(frozen=True)
class Users:
    """Latent parameters of U users; hours are local, on a 24-hour circle.

    Attributes
    ----------
    zone, platform : int64 [U]
        Index into `ZONES` and `PLATFORMS`.
    page_types : float [U, 4]
        Probability of each page type.
    centre : float [U, 3]
        Hours around which the habits lie, before drift.
    concentration : float [U, 3]
        Von Mises concentration of the habits.
    weight : float [2, U, 3]
        Sessions that each habit brings on a day that is on; workdays and weekends.
    weekend_shift : float [U]
        Hours by which habits come later at weekends.
    drift : float [U]
        Standard deviation of a habit's daily step, hours.
    rate : float [2, U]
        Probability that a day is on; workdays and weekends.
    run_on : float [U]
        Probability that a late session runs on into the next hour.
    arrives, leaves : float [U]
        Days after the first simulated date; the user is active from the first until before the second.
    """

    zone: NDArray[np.int64]
    platform: NDArray[np.int64]
    page_types: Floats
    centre: Floats
    concentration: Floats
    weight: Floats
    weekend_shift: Floats
    drift: Floats
    rate: Floats
    run_on: Floats
    arrives: Floats
    leaves: Floats


def draw_users(rng: np.random.Generator, count: int, days: int) -> Users:
    """Draw the parameters of `count` users for a world of `days` days."""
    owl = rng.random(count) < _OWL_SHARE
    centre = np.where(owl[:, None], _NIGHT_OWLS, _DAY_BIRDS) + rng.normal(0, 1.3, (count, 1))
    spread = np.clip(rng.lognormal(np.log(1.2), 0.5, (count, HABITS)), 0.35, 5.0)
    rate = rng.beta(1.5, 1.6, count)
    mixture = rng.dirichlet(np.full(HABITS, 0.7), (2, count))
    mixture[1] = (mixture[0] + mixture[1]) / 2  # weekends resemble workdays
    there_from_the_start = rng.random(count) < 0.45
    arrives = np.where(there_from_the_start, 0.0, rng.uniform(0, days, count))
    return Users(
        zone=rng.choice(len(ZONES), count, p=_shares(ZONES)),
        platform=rng.choice(len(PLATFORMS), count, p=_shares(PLATFORMS)),
        page_types=rng.dirichlet(_PAGE_TYPES, count),
        centre=centre + rng.normal(0, 1.2, (count, HABITS)),
        concentration=(24 / (2 * np.pi * spread)) ** 2,  # a narrow von Mises is a normal of this spread
        weight=mixture * rng.lognormal(np.log(1.7), 0.45, (1, count, 1)),
        weekend_shift=np.where(owl, 0.4, 1.3) + rng.normal(0, 0.7, count),
        drift=rng.uniform(0.02, 0.12, count),
        rate=np.clip(rate * np.stack([np.ones(count), rng.lognormal(-0.1, 0.4, count)]), 0.02, 0.98),
        run_on=np.where(owl, rng.uniform(0.6, 0.95, count), rng.uniform(0.1, 0.5, count)),
        arrives=arrives,
        leaves=arrives + rng.exponential(1.5 * days, count),
    )


def draw_activity(rng: np.random.Generator, users: Users, clock: Clock) -> Floats:
    """Probability that each local day is on, [U, D]; breaks are drawn here and known to the truth."""
    day = np.arange(len(clock.dates))
    present = (day >= users.arrives[:, None]) & (day < users.leaves[:, None])
    present &= clock.slots[users.zone] > 0
    probability = users.rate[clock.weekend.astype(np.int64)].T
    return np.where(present & ~_breaks(rng, len(users.zone), len(day)), probability, 0.0)


def draw_intensity(rng: np.random.Generator, users: Users, clock: Clock) -> Floats:
    """Sessions expected to start in each clock hour of a day that is on, per real hour, [U, D, 24]."""
    count, days = len(users.zone), len(clock.dates)
    walk = np.cumsum(rng.standard_normal((count, days, HABITS), dtype=np.float32), axis=1, dtype=np.float64)
    centre = users.centre[:, None, :] + users.drift[:, None, None] * walk
    centre += np.where(clock.weekend[None, :, None], users.weekend_shift[:, None, None], 0.0)
    weight = users.weight[clock.weekend.astype(np.int64)].transpose(1, 0, 2)  # [U, D, 3]

    to_angle = 2 * np.pi / 24
    middle_of_hour = to_angle * (np.arange(24) + 0.5)
    intensity = np.repeat(BACKGROUND / 24 * weight.sum(axis=-1)[..., None], 24, axis=-1)
    for k in range(HABITS):
        kappa = users.concentration[:, k, None, None]
        peak = 1 / (24 * np.i0(kappa) * np.exp(-kappa))  # so that the habit's density integrates to one over 24 h
        away = np.cos(middle_of_hour - to_angle * centre[..., k, None])
        intensity += (1 - BACKGROUND) * weight[..., k, None] * peak * np.exp(kappa * (away - 1))
    return intensity


def _breaks(rng: np.random.Generator, count: int, days: int) -> NDArray[np.bool_]:
    """Days on which a user is on a break, [U, D]: a two-state Markov chain, started in its stationary state."""
    away = rng.random(count) < _BREAK_STARTS / (_BREAK_STARTS + _BREAK_ENDS)
    out = np.empty((count, days), np.bool_)
    for d in range(days):
        out[:, d] = away
        turn = rng.random(count)
        away = np.where(away, turn >= _BREAK_ENDS, turn < _BREAK_STARTS)
    return out


def _shares(named: dict[str, float]) -> Floats:
    shares = np.array(list(named.values()))
    return np.asarray(shares / shares.sum())
