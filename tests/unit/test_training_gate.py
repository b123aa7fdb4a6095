from __future__ import annotations

import numpy as np
import pytest

from visitcast.evaluation.bootstrap import Interval
from visitcast.evaluation.comparison import Differences
from visitcast.evaluation.gate import Evidence, Limits, judge
from visitcast.metrics import METRICS, Scores
from visitcast.training.folds import CrossValidation, Fold, aggregate


def scores(**changes: float | None) -> Scores:
    return {**dict.fromkeys(METRICS, 0.5), "rmse_hours": 5.5, "mae_hours": 4.3, "log_loss": 2.8, **changes}


def against(log_loss: Interval | None, mae_hours: Interval | None = None, hits: Interval | None = None) -> Differences:
    return {"log_loss": log_loss, "best_hour_hit_rate": hits, "mae_hours": mae_hours}


BETTER = Interval(mean=-0.02, low=-0.03, high=-0.01)
PROBABLY_BETTER = Interval(mean=-0.003, low=-0.01, high=0.004)
PERHAPS_BETTER = Interval(mean=-0.001, low=-0.02, high=0.018)
EQUAL = Interval(mean=0.0, low=-0.002, high=0.002)
SLIGHTLY_WORSE = Interval(mean=0.001, low=-0.002, high=0.004)
WORSE = Interval(mean=0.02, low=0.01, high=0.03)

BASELINES = {
    "global_histogram": scores(log_loss=3.05),
    "user_histogram": scores(log_loss=2.803),
    "tuned_histogram": scores(log_loss=2.79),
    "article_gru": scores(log_loss=2.801),
    "last_hour": scores(log_loss=None, ece=None, mae_hours=5.8),
}
DIFFERENCES = {
    "global_histogram": against(Interval(-0.25, -0.3, -0.2)),
    "user_histogram": against(PROBABLY_BETTER),
    "tuned_histogram": against(Interval(0.01, -0.01, 0.03), hits=Interval(-0.01, -0.021, 0.001)),
    "article_gru": against(PERHAPS_BETTER),
    "last_hour": against(None, Interval(-1.5, -1.6, -1.4)),
}


def evidence(
    production: Interval | None = None,
    cross_validation: CrossValidation | None = None,
    tuned: Interval | None = None,
    hits: Interval | None = None,
    not_compared: str = "",
    anchor_lead: float = 0.0,
    **changes: float | None,
) -> Evidence:
    to_tuned = DIFFERENCES["tuned_histogram"]
    to_tuned = against(tuned or to_tuned["log_loss"], hits=hits or to_tuned["best_hour_hit_rate"])
    return Evidence(
        scores(**changes),
        BASELINES,
        DIFFERENCES | {"tuned_histogram": to_tuned},
        against(production) if production else None,
        not_compared,
        anchor_lead,
        cross_validation,
    )


@pytest.mark.parametrize(
    ("limits", "production", "passed", "said"),
    [
        pytest.param(Limits(), None, True, "no production model", id="nothing asked"),
        pytest.param(Limits(max_rmse_hours=5.5), None, True, "rmse_hours 5.500 is within", id="rmse at its limit"),
        pytest.param(Limits(max_rmse_hours=5.4), None, False, "rmse_hours 5.500 is above", id="rmse above"),
        pytest.param(Limits(max_mae_hours=4.0), None, False, "mae_hours 4.300 is above", id="mae above"),
        pytest.param(Limits(must_beat=("global_histogram",)), None, True, "global_histogram's 3.05", id="beats"),
        pytest.param(Limits(must_beat=("user_histogram",)), None, True, "+0.0040): better", id="beats in the margin"),
        pytest.param(Limits(must_beat=("article_gru",)), None, False, "may be worse by more", id="beats by chance"),
        pytest.param(
            Limits(must_beat=("article_gru",), non_inferiority_margin=0.02), None, True, "better", id="wide margin"
        ),
        pytest.param(Limits(must_beat=("tuned_histogram",)), None, False, "+0.0100", id="beaten"),
        pytest.param(Limits(must_beat=("last_hour",)), None, True, "mae_hours 4.3000 against", id="points: by mae"),
        pytest.param(Limits(), BETTER, True, "to -0.0100): better", id="better than production"),
        pytest.param(Limits(), EQUAL, True, "+0.0020): equal", id="the same model again"),
        pytest.param(Limits(), SLIGHTLY_WORSE, False, "+0.0040): worse", id="worse within the margin"),
        pytest.param(Limits(), WORSE, False, "+0.0300): worse", id="worse than production"),
        pytest.param(Limits(), PERHAPS_BETTER, False, "may be worse", id="interval too wide"),
        pytest.param(
            Limits(non_inferiority_margin=0.02), PERHAPS_BETTER, True, "better", id="wide interval, wide margin"
        ),
    ],
)
def test_decisions(limits: Limits, production: Interval | None, passed: bool, said: str) -> None:
    verdict = judge(evidence(production), limits)
    assert verdict.passed is passed
    assert any(said in reason for reason in verdict.reasons), verdict.reasons
    parts = (verdict.within_absolute_limits, verdict.beats_baselines, verdict.beats_production)
    assert all(parts) is passed
    assert verdict.keeps_lead
    assert verdict.hits_best_hour


@pytest.mark.parametrize(
    ("tuned", "passed", "said"),
    [
        pytest.param(BETTER, True, "to -0.0100): better", id="better"),
        pytest.param(EQUAL, True, "+0.0020): equal", id="the histogram itself"),
        pytest.param(SLIGHTLY_WORSE, False, "+0.0040): worse", id="slightly worse"),
        pytest.param(PERHAPS_BETTER, False, "may be worse by more than the margin 0.0050", id="unsure"),
    ],
)
def test_the_tuned_histogram_stands_in_for_a_production_model_that_cannot_be_compared(
    tuned: Interval, passed: bool, said: str
) -> None:
    verdict = judge(evidence(tuned=tuned, not_compared="Version 3 cannot be read."), Limits(must_beat=()))
    assert (verdict.passed, verdict.beats_production) == (passed, passed)
    assert verdict.reasons[0] == "Version 3 cannot be read."
    assert any("against tuned_histogram's" in reason and said in reason for reason in verdict.reasons[1:])
    assert judge(evidence(tuned=tuned), Limits(must_beat=())).passed  # without a production model nothing is asked


CLEAR = Interval(mean=-0.06, low=-0.07, high=-0.05)
LESS = Interval(mean=-0.02, low=-0.03, high=-0.01)
NONE = Interval(mean=-0.004, low=-0.011, high=0.003)


@pytest.mark.parametrize(
    ("tuned", "anchor", "share", "kept", "said", "next_anchor"),
    [
        pytest.param(CLEAR, 0.0, 0.5, True, "No model had a certain lead", 0.06, id="sets the anchor"),
        pytest.param(NONE, 0.0, 0.5, True, "No model had a certain lead", 0.0, id="a lead by chance sets none"),
        pytest.param(CLEAR, 0.05, 0.5, True, "at least the share 0.5", 0.05, id="a larger lead moves nothing"),
        pytest.param(LESS, 0.05, 0.5, False, "less than the share 0.5", 0.05, id="half of the lead is lost"),
        pytest.param(LESS, 0.05, 0.3, True, "at least the share 0.3", 0.05, id="a smaller share"),
        pytest.param(LESS, 0.05, 0.0, True, "no share", 0.02, id="no demand: a new anchor"),
        pytest.param(NONE, 0.05, 0.0, True, "no share", 0.0, id="no demand, no certain lead"),
    ],
)
def test_the_lead_is_kept_against_the_first_one(
    tuned: Interval, anchor: float, share: float, kept: bool, said: str, next_anchor: float
) -> None:
    verdict = judge(evidence(BETTER, tuned=tuned, anchor_lead=anchor), Limits(kept_lead_share=share))
    assert (verdict.passed, verdict.keeps_lead, verdict.anchor_lead) == (kept, kept, next_anchor)
    assert any(said in reason for reason in verdict.reasons), verdict.reasons


def test_many_small_losses_do_not_pass_in_a_row() -> None:
    """Each model beats the one before by luck, and yet the lead melts away."""
    anchor, accepted = 0.0, []
    for lead in np.arange(0.060, 0.0, -0.002):
        lucky = Interval(-0.0001, -0.004, 0.004)
        tuned = Interval(-lead, -lead - 0.005, -lead + 0.005)
        verdict = judge(evidence(lucky, tuned=tuned, anchor_lead=anchor), Limits())
        if verdict.passed:
            accepted.append(lead)
            anchor = verdict.anchor_lead
    assert 0.03 <= min(accepted) < 0.032


@pytest.mark.parametrize(
    ("hits", "passed", "said"),
    [
        pytest.param(Interval(0.01, 0.002, 0.018), True, "+0.0180): not worse", id="better"),
        pytest.param(Interval(-0.01, -0.021, 0.001), True, "+0.0010): not worse", id="perhaps worse"),
        pytest.param(Interval(-0.024, -0.048, -0.002), False, "-0.0020): worse", id="certainly worse"),
    ],
)
def test_the_hour_to_send_must_not_be_worse_than_the_tuned_histograms(hits: Interval, passed: bool, said: str) -> None:
    verdict = judge(evidence(hits=hits), Limits())
    assert (verdict.passed, verdict.hits_best_hour) == (passed, passed)
    assert any(said in reason for reason in verdict.reasons), verdict.reasons


def test_a_rejection_gives_only_what_went_wrong() -> None:
    limits = Limits(max_rmse_hours=9.0, must_beat=("global_histogram", "tuned_histogram"))
    verdict = judge(evidence(WORSE), limits)
    assert len(verdict.reasons) == 2
    assert verdict.within_absolute_limits
    assert not verdict.beats_baselines
    assert not verdict.beats_production


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_a_metric_that_is_no_number_rejects(value: float | None) -> None:
    verdict = judge(evidence(log_loss=value), Limits())
    assert not verdict.passed
    assert "log_loss" in verdict.reasons[0]


def folds(*log_losses: float) -> CrossValidation:
    """Folds whose baselines have a log loss of 2.8."""
    return aggregate(
        [
            Fold(number, len(log_losses), {}, {}, scores(log_loss=loss), {"global_histogram": scores(log_loss=2.8)})
            for number, loss in enumerate(log_losses, start=1)
        ]
    )


@pytest.mark.parametrize(
    ("cross_validation", "must_beat", "holds", "said"),
    [
        pytest.param(folds(2.7, 2.82), "global_histogram", True, "over 2 folds log_loss is -0.0400", id="in the mean"),
        pytest.param(folds(2.7, 2.95), "global_histogram", False, "+0.0250 against global", id="one fold too bad"),
        pytest.param(folds(2.7), "article_gru", True, "article_gru is not fitted in the folds", id="not in the folds"),
        pytest.param(None, "global_histogram", False, "set CrossValidation.Folds", id="no folds"),
    ],
)
def test_baselines_must_be_beaten_in_the_folds_too_where_asked(
    cross_validation: CrossValidation | None, must_beat: str, holds: bool, said: str
) -> None:
    asked = Limits(must_beat=(must_beat,), must_hold_in_cross_validation=True, non_inferiority_margin=0.05)
    verdict = judge(evidence(cross_validation=cross_validation), asked)
    assert (verdict.passed, verdict.holds_in_cross_validation) == (holds, holds)
    assert any(said in reason for reason in verdict.reasons), verdict.reasons
    unasked = Limits(must_beat=(must_beat,), non_inferiority_margin=0.05)
    assert judge(evidence(cross_validation=cross_validation), unasked).passed
