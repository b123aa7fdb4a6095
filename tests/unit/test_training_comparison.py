from __future__ import annotations

import numpy as np
import pytest

from visitcast.evaluation.bootstrap import bootstrap_by_user
from visitcast.evaluation.comparison import COMPARED, compare
from visitcast.metrics import (
    ECE,
    METRICS,
    RMSE_HOURS,
    Outcomes,
    point_outcomes,
    probability_outcomes,
    select,
    summarise,
)

ROWS = 600
USERS = np.repeat(np.arange(40), ROWS // 40)


def outcomes(seed: int, sharpness: float = 2.0) -> Outcomes:
    """Forecasts of the same rows by forecasters that are right more or less often."""
    truth = np.random.default_rng(0).integers(24, size=ROWS)
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(ROWS, 24))
    scores[np.arange(ROWS), truth] += sharpness
    chances = np.exp(scores)
    return probability_outcomes(chances / chances.sum(axis=1, keepdims=True), truth, (1 << truth).astype(np.int32))


def points() -> Outcomes:
    truth = np.random.default_rng(0).integers(24, size=ROWS)
    return point_outcomes(np.full(ROWS, 12.5), truth, (1 << truth).astype(np.int32))


MODEL, RIVAL = outcomes(1), outcomes(2, sharpness=1.0)
FOUND = compare(MODEL, {"rival": RIVAL, "points": points(), "itself": MODEL}, USERS)


def test_every_metric_has_an_interval_around_it() -> None:
    scores = summarise(MODEL)
    assert set(FOUND.intervals) == set(METRICS)
    for name, interval in FOUND.intervals.items():
        assert interval.mean == scores[name]
        assert interval.low < interval.mean < interval.high, name


def test_differences_are_those_of_the_rows_paired() -> None:
    assert MODEL.log_loss is not None
    assert RIVAL.log_loss is not None
    by_rows = {
        "log_loss": MODEL.log_loss - RIVAL.log_loss,
        "best_hour_hit_rate": MODEL.hit.astype(float) - RIVAL.hit,
        "mae_hours": MODEL.absolute_error - RIVAL.absolute_error,
    }
    assert tuple(by_rows) == COMPARED
    for name, rows in by_rows.items():
        alone, found = bootstrap_by_user(rows, USERS), FOUND.differences["rival"][name]
        assert found is not None
        assert (found.mean, found.low, found.high) == pytest.approx((alone.mean, alone.low, alone.high))


def test_without_probabilities_there_is_no_difference_in_log_loss() -> None:
    found = FOUND.differences["points"]
    assert found["log_loss"] is None
    assert found["mae_hours"] is not None


def test_a_forecaster_does_not_differ_from_itself() -> None:
    for found in FOUND.differences["itself"].values():
        assert found is not None
        assert (found.mean, found.low, found.high) == (0, 0, 0)


def plain(metric: str, draws: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The metric of rows that are really copied, one resample at a time."""
    rng = np.random.default_rng(4)
    found = []
    for _ in range(draws):
        rows = np.concatenate([np.flatnonzero(user == USERS) for user in rng.integers(40, size=40)])
        found.append(summarise(select(MODEL, rows))[metric])
    return np.array(found, dtype=np.float64)


@pytest.mark.parametrize("metric", [RMSE_HOURS, ECE])
def test_metrics_that_are_no_means_resample_like_copied_rows(metric: str) -> None:
    resampled = plain(metric, 600)
    if metric == ECE:  # noise adds to absolute gaps: the interval is that of the resamples, moved onto the figure
        resampled += (summarise(MODEL)[ECE] or 0) - resampled.mean()
    low, high = np.quantile(resampled, [0.025, 0.975])
    assert FOUND.intervals[metric].low == pytest.approx(low, abs=0.15 * (high - low))
    assert FOUND.intervals[metric].high == pytest.approx(high, abs=0.15 * (high - low))
