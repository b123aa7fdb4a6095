from __future__ import annotations

import pytest

from training.gate import Limits, judge
from visitcast.metrics import METRICS, Interval, Scores


def scores(**changes: float | None) -> Scores:
    return {**dict.fromkeys(METRICS, 0.5), "rmse_hours": 5.5, "mae_hours": 4.3, "log_loss": 2.8, **changes}


BASELINES = {
    "global_histogram": scores(log_loss=3.05),
    "tuned_histogram": scores(log_loss=2.79),
    "last_hour": scores(log_loss=None, ece=None, mae_hours=5.8),
}
BETTER = Interval(mean=-0.02, low=-0.03, high=-0.01)
SLIGHTLY_WORSE = Interval(mean=0.001, low=-0.002, high=0.004)
WORSE = Interval(mean=0.02, low=0.01, high=0.03)
UNSURE = Interval(mean=-0.001, low=-0.02, high=0.018)


@pytest.mark.parametrize(
    ("limits", "difference", "passed", "said"),
    [
        pytest.param(Limits(), None, True, "no production model", id="nothing asked"),
        pytest.param(Limits(max_rmse_hours=5.5), None, True, "rmse_hours 5.500 is within", id="rmse at its limit"),
        pytest.param(Limits(max_rmse_hours=5.4), None, False, "rmse_hours 5.500 is above", id="rmse above"),
        pytest.param(Limits(max_mae_hours=4.0), None, False, "mae_hours 4.300 is above", id="mae above"),
        pytest.param(Limits(must_beat=("global_histogram",)), None, True, "beats global_histogram's 3.05", id="beats"),
        pytest.param(Limits(must_beat=("tuned_histogram",)), None, False, "does not beat tuned", id="beaten"),
        pytest.param(Limits(must_beat=("last_hour",)), None, True, "mae_hours 4.3000 beats", id="points: by mae"),
        pytest.param(Limits(), BETTER, True, "not worse", id="better than production"),
        pytest.param(Limits(), SLIGHTLY_WORSE, True, "not worse", id="worse within the margin"),
        pytest.param(Limits(), WORSE, False, "may be worse", id="worse than production"),
        pytest.param(Limits(), UNSURE, False, "may be worse", id="interval too wide"),
        pytest.param(Limits(non_inferiority_margin=0.02), UNSURE, True, "not worse", id="wide interval, wide margin"),
    ],
)
def test_decisions(limits: Limits, difference: Interval | None, passed: bool, said: str) -> None:
    verdict = judge(scores(), BASELINES, difference, limits)
    assert verdict.passed is passed
    assert any(said in reason for reason in verdict.reasons), verdict.reasons
    parts = (verdict.within_absolute_limits, verdict.beats_baselines, verdict.beats_production)
    assert all(parts) is passed


def test_a_rejection_gives_only_what_went_wrong() -> None:
    verdict = judge(
        scores(), BASELINES, WORSE, Limits(max_rmse_hours=9.0, must_beat=("global_histogram", "tuned_histogram"))
    )
    assert len(verdict.reasons) == 2
    assert verdict.within_absolute_limits
    assert not verdict.beats_baselines
    assert not verdict.beats_production


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_a_metric_that_is_no_number_rejects(value: float | None) -> None:
    verdict = judge(scores(log_loss=value), BASELINES, None, Limits())
    assert not verdict.passed
    assert "log_loss" in verdict.reasons[0]
