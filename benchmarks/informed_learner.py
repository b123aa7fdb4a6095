"""A learner that knows the simulator's laws but not its users: what a forecaster could reach on simulated events.

The truth of :mod:`demo.simulator.truth` knows each user's habits, which cannot be inferred from some thirty visit days.
This learner knows how habits are distributed, how they drift and how they lead to visits, and infers each user's habits
from the user's own past: a particle filter over :class:`demo.simulator.habits.Users`, with the kernel of Liu and West
(2001, in Doucet et al., Sequential Monte Carlo Methods in Practice, chapter 10) to keep the fixed parameters' particles
apart. Its log loss is an upper bound on the best possible one: a finer filter could only be better.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demo.simulator.habits import BACKGROUND, HABITS, draw_users
from visitcast.data.calendar import is_weekend
from visitcast.data.dataset import Dataset, hour_flags, position_in_history, select_users

PARTICLES = 3_000
USERS_AT_ONCE = 32
JITTER = 0.05
"""Share of the particles' spread by which resampled parameters move."""
LATE_SHARE = 0.2
"""Share of visits that end in the last ten minutes of their hour, and so may run on into the next."""
_SMALLEST = np.float32(1e-12)
Floats = NDArray[np.float32]


@dataclass
class _Particles:
    """P particles for each of U users; fixed parameters on scales without bounds.

    Attributes
    ----------
    centre : float32 [U, P, 3]
        Hours of the habits on the day looked at last, before the weekend's shift.
    fixed : float32 [U, P, 12]
        Log concentrations (3), log weights on workdays (3) and weekends (3), weekend shift, log drift, logit run-on.
    log_weight : float32 [U, P]
        Posterior weights, not normalised.
    """

    centre: Floats
    fixed: Floats
    log_weight: Floats


def forecast(dataset: Dataset, days: int, seed: int = 0) -> Floats:
    """Forecast the first-visit hour of every visit day from the user's days before it, float32 [N, 24].

    Parameters
    ----------
    dataset : Dataset
        Visit days of simulated users.
    days : int
        Length of the simulated world.
    seed : int
        Of the particles.
    """
    rng = np.random.default_rng(seed)
    longest_first = np.argsort(-np.diff(dataset.offsets), kind="stable")
    out = np.empty((dataset.visit_days, 24), dtype=np.float32)
    for begin in range(0, dataset.users, USERS_AT_ONCE):
        users = np.sort(longest_first[begin : begin + USERS_AT_ONCE])
        part = select_users(dataset, users)
        rows = np.concatenate([np.arange(*dataset.offsets[user : user + 2]) for user in users])
        out[rows] = _filter(rng, part, days)
    return out


def _filter(rng: np.random.Generator, dataset: Dataset, days: int) -> Floats:
    particles = _prior(rng, dataset.users, days)
    flags = hour_flags(dataset.hourly_visits)
    weekend = is_weekend(dataset.visit_date)
    position = position_in_history(dataset)
    out = np.empty((dataset.visit_days, 24), dtype=np.float32)
    for step in range(int(position.max()) + 1):
        rows = np.flatnonzero(position == step)
        users = np.searchsorted(dataset.offsets, rows, side="right") - 1
        gap = np.where(step > 0, dataset.visit_date[rows] - dataset.visit_date[rows - 1], 1)
        late = (gap == 1) & (step > 0) & (flags[rows - 1, 23] > 0)  # a visit of the evening before may run on
        here = _Particles(particles.centre[users], particles.fixed[users], particles.log_weight[users])
        here.centre += (
            np.exp(here.fixed[..., 10:11])
            * np.sqrt(gap)[:, None, None]
            * rng.standard_normal(here.centre.shape, dtype=np.float32)
        )
        expected = _expected(here, weekend[rows])
        run_on = np.float32(1) / (np.float32(1) + np.exp(-here.fixed[..., 11]))
        out[rows] = _first_hour(here.log_weight, expected, run_on * LATE_SHARE * late[:, None])
        here.log_weight = here.log_weight + _log_likelihood(expected, run_on, flags[rows], late)
        _resample(rng, here)
        particles.centre[users], particles.fixed[users] = here.centre, here.fixed
        particles.log_weight[users] = here.log_weight
    return out


def _prior(rng: np.random.Generator, users: int, days: int) -> _Particles:
    drawn = draw_users(rng, users * PARTICLES, days)
    fixed = [
        np.log(drawn.concentration),
        np.log(np.maximum(drawn.weight[0], 1e-6)),
        np.log(np.maximum(drawn.weight[1], 1e-6)),
        drawn.weekend_shift[:, None],
        np.log(drawn.drift)[:, None],
        np.log(drawn.run_on / (1 - drawn.run_on))[:, None],
    ]
    shape = (users, PARTICLES, -1)
    return _Particles(
        drawn.centre.reshape(shape).astype(np.float32),
        np.concatenate(fixed, axis=1).reshape(shape).astype(np.float32),
        np.zeros((users, PARTICLES), dtype=np.float32),
    )


def _expected(particles: _Particles, weekend: NDArray[np.bool_]) -> Floats:
    """Return the expected sessions in each hour of a day that is on, [U, P, 24]; as in ``habits.draw_intensity``."""
    fixed = particles.fixed
    weights = np.exp(np.where(weekend[:, None, None], fixed[..., 6:9], fixed[..., 3:6]))
    centre = particles.centre + np.where(weekend[:, None], fixed[..., 9], 0)[..., None]
    angle = np.float32(2 * np.pi / 24)
    middle = angle * (np.arange(24, dtype=np.float32) + np.float32(0.5))
    expected = np.repeat(np.float32(BACKGROUND / 24) * weights.sum(axis=-1)[..., None], 24, axis=-1)
    for habit in range(HABITS):
        kappa = np.exp(fixed[..., habit, None])
        density = np.exp(kappa * (np.cos(middle - angle * centre[..., habit, None]) - 1))
        # Riemann's sum over the hours instead of the Bessel function: the same to the sixth digit unless very narrow.
        density /= np.maximum(density.sum(axis=-1, keepdims=True), _SMALLEST)
        expected += np.float32(1 - BACKGROUND) * weights[..., habit, None] * density
    return np.asarray(expected, dtype=np.float32)


def _first_hour(log_weight: Floats, expected: Floats, carry: Floats) -> Floats:
    """Mixture over the particles of the closed form in :mod:`demo.simulator.truth`, [U, 24]."""
    before = np.cumsum(expected, axis=-1) - expected
    own = np.exp(-before) * -np.expm1(-expected) * (1 - carry)[..., None]
    own[..., 0] += carry
    weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
    mixed = np.einsum("up,uph->uh", weight, own)
    return np.asarray(mixed / mixed.sum(axis=1, keepdims=True), dtype=np.float32)


def _log_likelihood(expected: Floats, run_on: Floats, visited: Floats, late: NDArray[np.bool_]) -> Floats:
    """Log probability of the visited hours [U, 24] of a day that is on, [U, P]."""
    hour_before = np.concatenate([late[:, None].astype(np.float32), visited[:, :-1]], axis=1)
    stays_away = np.exp(-expected) * (1 - np.float32(LATE_SHARE) * run_on[..., None] * hour_before[:, None])
    chance = np.where(visited[:, None] > 0, 1 - stays_away, stays_away)
    return np.asarray(np.log(np.maximum(chance, _SMALLEST)).sum(axis=-1), dtype=np.float32)


def _resample(rng: np.random.Generator, particles: _Particles) -> None:
    """Resample the users whose particles have grown too unequal, and move the fixed parameters by a little."""
    weight = np.exp(particles.log_weight - particles.log_weight.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    for user in np.flatnonzero(1 / (weight**2).sum(axis=1) < PARTICLES / 2):
        share = weight[user]
        places = (np.arange(PARTICLES) + rng.random()) / PARTICLES
        chosen = np.minimum(np.searchsorted(np.cumsum(share), places), PARTICLES - 1)
        both = np.concatenate([particles.fixed[user], particles.centre[user]], axis=1)
        mean = share @ both
        spread = np.sqrt(np.maximum(share @ (both - mean) ** 2, 1e-8))
        kept = np.sqrt(1 - JITTER**2)
        noise = rng.standard_normal(both.shape, dtype=np.float32)
        moved = kept * both[chosen] + (1 - kept) * mean + JITTER * spread * noise
        particles.fixed[user], particles.centre[user] = moved[:, :12], moved[:, 12:]
        particles.log_weight[user] = 0
