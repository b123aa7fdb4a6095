from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from visitcast.metrics import log_losses
from visitcast.model import calibration, mixture
from visitcast.model.calibration import Calibration
from visitcast.model.logits import Float, Probabilities, any_visit, logit, sigmoid, softmax

HISTORY = np.tile(np.array([5, 20, 50, 200]), 2000)
Days = tuple[Probabilities, NDArray[np.int64], Float]
"""True probabilities of days, the hours of their first visits, and flags of the visited hours."""


def drawn(seed: int, rows: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """True probabilities and the hours drawn from them."""
    rng = np.random.default_rng(seed)
    truth = softmax(rng.normal(0, 1.5, (rows, 24)).astype(np.float32))
    return truth, (truth.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(0, 23)


def drawn_days(seed: int, rows: int) -> Days:
    first, hour = drawn(seed, rows)
    rng = np.random.default_rng(seed + 1000)
    later = sigmoid(rng.normal(-2, 1, (rows, 24)).astype(np.float32))
    flags = (rng.random(later.shape) < later).astype(np.float32)
    flags[np.arange(rows), hour] = 1
    return Probabilities(first, later), hour, flags


def test_the_better_forecaster_gets_the_weight() -> None:
    truth, hour = drawn(0, len(HISTORY))
    uniform = np.full_like(truth, 1 / 24)
    assert min(mixture.fit(truth, uniform, hour, HISTORY)) > 0.9
    assert max(mixture.fit(uniform, truth, hour, HISTORY)) < 0.1


def test_the_weight_follows_the_history() -> None:
    truth, hour = drawn(1, len(HISTORY))
    uniform = np.full_like(truth, 1 / 24)
    short = (HISTORY < 10)[:, None]
    weights = mixture.fit(np.where(short, truth, uniform), np.where(short, uniform, truth), hour, HISTORY)
    assert weights[0] > 0.9
    assert max(weights[1:]) < 0.1


def test_few_rows_stay_with_the_histogram() -> None:
    truth, hour = drawn(2, 20)
    slightly_worse = 0.95 * truth + 0.05 / 24
    assert set(mixture.fit(truth, slightly_worse, hour, HISTORY[:20])) == {0.0}


def test_on_the_rows_it_was_chosen_on_the_mixture_never_loses_to_the_histogram() -> None:
    truth, hour, _ = drawn_days(3, len(HISTORY))
    other, _, _ = drawn_days(4, len(HISTORY))
    weights = mixture.fit(other.first_hour, truth.first_hour, hour, HISTORY)
    mixed = mixture.blend(weights, HISTORY, other, truth)
    assert log_losses(mixed.first_hour, hour).mean() <= log_losses(truth.first_hour, hour).mean()


def test_without_any_weight_the_forecast_is_the_histograms() -> None:
    histogram, _, _ = drawn_days(3, len(HISTORY))
    scored, _, _ = drawn_days(4, len(HISTORY))
    nothing = (0.0,) * len(mixture.HISTORY_STARTS)
    for one, other in zip(mixture.blend(nothing, HISTORY, scored, histogram), histogram, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("factor", [0.7, 1.0, 2.0])
def test_the_temperature_undoes_a_scaling_of_the_logits(factor: float) -> None:
    truth, hour, flags = drawn_days(6, 20_000)
    scaled = Probabilities(softmax(np.log(truth.first_hour) * np.float32(factor)), truth.later_visit)
    fitted = calibration.fit(scaled, hour, flags)
    assert fitted.temperature == pytest.approx(factor, rel=0.05)
    np.testing.assert_allclose(calibration.apply(fitted, scaled).first_hour, truth.first_hour, atol=0.03)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda logits: logits + 0.7, id="too high"),
        pytest.param(lambda logits: logits - 0.7, id="too low"),
        pytest.param(lambda logits: 1.6 * logits, id="too sharp"),
    ],
)
def test_the_chance_of_the_hour_to_send_at_is_what_happens(wrong: Callable[[Float], Float]) -> None:
    truth, hour, flags = drawn_days(7, 20_000)
    # Hours whose chance is wrong by accident are chosen more often: the level of all hours does not mend that.
    noise = np.random.default_rng(0).normal(0, 0.5, truth.later_visit.shape).astype(np.float32)
    stated = Probabilities(truth.first_hour, sigmoid(wrong(logit(truth.later_visit) + noise)))

    def said_and_came(forecast: Probabilities) -> tuple[float, float]:
        chance = any_visit(forecast)
        return float(chance.max(axis=1).mean()), float(flags[np.arange(len(flags)), chance.argmax(axis=1)].mean())

    said, came = said_and_came(stated)
    assert abs(said - came) > 0.015
    said, came = said_and_came(calibration.apply(calibration.fit(stated, hour, flags), stated))
    assert said == pytest.approx(came, abs=0.01)


def test_few_rows_hardly_change_the_forecast() -> None:
    truth, hour, flags = drawn_days(8, 20)
    fitted = calibration.fit(truth, hour, flags)
    assert fitted.temperature == pytest.approx(1, abs=0.05)
    assert abs(fitted.later_visit_shift) < 0.5


def test_the_default_changes_nothing() -> None:
    truth, _, _ = drawn_days(9, 100)
    for one, other in zip(calibration.apply(Calibration(), truth), truth, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
