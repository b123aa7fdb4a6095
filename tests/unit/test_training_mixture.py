from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from visitcast.metrics import log_losses
from visitcast.model import calibration, mixture
from visitcast.model.logits import softmax

HISTORY = np.tile(np.array([5, 20, 50, 200]), 2000)


def drawn(seed: int, rows: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """True probabilities and the hours drawn from them."""
    rng = np.random.default_rng(seed)
    truth = softmax(rng.normal(0, 1.5, (rows, 24)).astype(np.float32))
    return truth, (truth.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(0, 23)


def test_the_better_forecaster_gets_the_weight() -> None:
    truth, hour = drawn(0, len(HISTORY))
    uniform = np.full_like(truth, 1 / 24)
    assert min(mixture.first_hour_weights(truth, uniform, hour, HISTORY)) > 0.9
    assert max(mixture.first_hour_weights(uniform, truth, hour, HISTORY)) < 0.1


def test_the_weight_follows_the_history() -> None:
    truth, hour = drawn(1, len(HISTORY))
    uniform = np.full_like(truth, 1 / 24)
    short = (HISTORY < 10)[:, None]
    weights = mixture.first_hour_weights(
        np.where(short, truth, uniform), np.where(short, uniform, truth), hour, HISTORY
    )
    assert weights[0] > 0.9
    assert max(weights[1:]) < 0.1


def test_few_rows_stay_with_the_histogram() -> None:
    truth, hour = drawn(2, 20)
    slightly_worse = 0.95 * truth + 0.05 / 24
    assert set(mixture.first_hour_weights(truth, slightly_worse, hour, HISTORY[:20])) == {0.0}


def test_on_the_rows_it_was_chosen_on_the_mixture_never_loses_to_the_histogram() -> None:
    truth, hour = drawn(3, len(HISTORY))
    other, _ = drawn(4, len(HISTORY))
    weights = mixture.first_hour_weights(other, truth, hour, HISTORY)
    mixed = mixture.blend(weights, HISTORY, other, truth)
    assert log_losses(mixed, hour).mean() <= log_losses(truth, hour).mean()


def test_later_visits_have_weights_of_their_own() -> None:
    truth, first = drawn(5, len(HISTORY))
    chance = np.clip(truth * 3, 0, 1).astype(np.float32)
    flags = (np.random.default_rng(5).random(chance.shape) < chance).astype(np.float32)
    flags[np.arange(len(first)), first] = 1  # whatever the chance: the hour of the first visit does not count
    constant = np.full_like(chance, chance.mean())
    assert min(mixture.later_visit_weights(chance, constant, first, flags, HISTORY)) > 0.9


@pytest.mark.parametrize("factor", [0.7, 1.0, 2.0])
def test_the_temperature_undoes_a_scaling_of_the_logits(factor: float) -> None:
    truth, hour = drawn(6, 20_000)
    logits = np.log(truth) * np.float32(factor)
    assert calibration.first_hour_temperature(logits, hour) == pytest.approx(factor, rel=0.05)


def test_the_temperature_of_later_visits_undoes_a_scaling_of_the_logits() -> None:
    rng = np.random.default_rng(7)
    logits = rng.normal(-2, 1, (5000, 24)).astype(np.float32)
    flags = (rng.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    first = rng.integers(0, 24, 5000)
    flags[np.arange(5000), first] = 1
    assert calibration.later_visit_temperature(1.8 * logits, first, flags) == pytest.approx(1.8, rel=0.05)
