"""When the drift check raises an alarm, at which rate it does so without drift, and how soon with a slow one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visitcast.forecasting.profile import profile
from visitcast.sending.drift import FOUR_WEEKS_AGO, TRAINING, Limits, judge, metrics, psi
from visitcast.sending.realised import ClosedDates, Interval

COUNTS = st.lists(st.integers(0, 1000), min_size=5, max_size=5)
EVALUATED = {"log_loss": 2.4, "best_hour_hit_rate": 0.5}
UNKNOWN = ClosedDates()


def made_profile(seed, users=20_000, platforms=(0.4, 0.4, 0.1, 0.1), shift=0):
    rng = np.random.default_rng(seed)
    hour = (rng.normal(18, 3, users).astype(int) + shift) % 24
    return profile(
        platform=rng.choice(4, users, p=platforms).astype(np.int8),
        utc_offset_minutes=rng.choice([-720, 0, 345, 840], users).astype(np.int16),
        history_days=rng.geometric(0.1, users),
        absent_days=rng.geometric(0.3, users),
        first_visit_hour=np.eye(24, dtype=np.float32)[hour],
        best_hour=hour,
        confidence=rng.random(users),
    )


def compare(now, before, limits=None):
    return judge(now, {TRAINING: before}, None, {}, UNKNOWN, limits or Limits())


@given(COUNTS, COUNTS)
def test_psi_is_symmetric_and_never_negative(before, now):
    assert psi(before, now) == pytest.approx(psi(now, before))
    assert psi(before, now) >= 0
    assert psi(before, before) == 0


def test_psi_of_a_known_shift():
    # (0.6 - 0.5) ln(0.6 / 0.5) + (0.4 - 0.5) ln(0.4 / 0.5)
    assert psi([500_000, 500_000], [600_000, 400_000]) == pytest.approx(0.0405, abs=1e-4)


def test_another_draw_of_the_same_users_is_no_drift():
    verdict = compare(made_profile(1), made_profile(2))
    assert not verdict.alarm
    assert set(verdict.psi[TRAINING]) == set(made_profile(1))
    assert max(verdict.psi[TRAINING].values()) < 0.01


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({"platforms": (0.05, 0.05, 0.8, 0.1)}, ["input: platform"]),
        ({"shift": 6}, ["forecast: best hour", "forecast: first visit hour"]),
    ],
)
@pytest.mark.parametrize("reference", [TRAINING, FOUR_WEEKS_AGO])
def test_a_shift_is_named(changed, names, reference):
    references = {TRAINING: made_profile(3, **changed), FOUR_WEEKS_AGO: None, reference: made_profile(2)}
    verdict = judge(made_profile(1, **changed), references, None, {}, UNKNOWN, Limits())
    assert verdict.alarm
    assert [reason.partition(" has shifted")[0] for reason in verdict.reasons] == names
    assert all(f"against {reference}" in reason for reason in verdict.reasons)


def test_few_users_raise_no_alarm():
    few = made_profile(1, users=150, platforms=(0.05, 0.05, 0.8, 0.1))
    assert compare(few, made_profile(2)).reasons == []
    assert compare(made_profile(2), few).reasons == []
    assert compare(few, made_profile(2), Limits(minimum_rows=100)).alarm


def test_the_first_run_has_nothing_to_compare_with():
    verdict = judge(made_profile(1), {TRAINING: None, FOUR_WEEKS_AGO: {}}, None, EVALUATED, UNKNOWN, Limits())
    assert verdict.alarm is False
    # CloudWatch refuses a metric without a number: what is not known is not sent.
    assert metrics(verdict, UNKNOWN, "dev") == [
        {"MetricName": "drift_limits_passed", "Value": 0, "Dimensions": [{"Name": "Environment", "Value": "dev"}]}
    ]


def outcomes(rows, log_loss, hit_rate, users=None, deviation=0.8):
    return {
        "rows": rows,
        "users": users or rows,
        "log_loss": log_loss,
        "log_loss_deviation": deviation,
        "best_hour_hit_rate": hit_rate,
    }


@pytest.mark.parametrize(
    ("realised", "reasons"),
    [
        pytest.param(outcomes(5000, 2.5, 0.47), [], id="within"),
        pytest.param(outcomes(5000, 2.6, 0.5), ["log loss"], id="log loss"),
        pytest.param(outcomes(5000, 2.4, 0.4), ["hit rate"], id="hit rate"),
        pytest.param(outcomes(10, 9.0, 0.0), [], id="too few"),
        pytest.param(outcomes(250, 2.56, 0.42), [], id="chance"),
        pytest.param(outcomes(5000, 2.56, 0.42, users=200), [], id="chance, since the rows are of few users"),
        pytest.param(outcomes(250, 2.6, 0.5, deviation=float("nan")), ["log loss"], id="without deviation"),
    ],
)
def test_outcomes_are_held_against_the_evaluation(realised, reasons):
    verdict = judge(made_profile(1), {TRAINING: made_profile(1)}, realised, EVALUATED, UNKNOWN, Limits())
    assert len(verdict.reasons) == len(reasons)
    assert all(word in reason for word, reason in zip(reasons, verdict.reasons, strict=True))
    assert verdict.realised == {name: realised[name] for name in ("rows", "log_loss", "best_hour_hit_rate")}


@pytest.mark.parametrize(
    ("ratio", "expected", "alarm"),
    [
        pytest.param(Interval(1.5, 1.3, 1.7), 900, True, id="too many expected"),
        pytest.param(Interval(0.7, 0.6, 0.78), 900, True, id="too few expected"),
        pytest.param(Interval(1.5, 1.2, 1.9), 900, False, id="perhaps"),
        pytest.param(Interval(1.2, 1.15, 1.24), 900, False, id="within"),
        pytest.param(Interval(1.5, 1.3, 1.7), 90, False, id="too few visits"),
    ],
)
def test_visits_are_held_against_those_expected(ratio, expected, alarm):
    closed = ClosedDates(28, expected, round(expected / ratio.value), ratio, 1.0)
    verdict = judge(made_profile(1), {}, None, {}, closed, Limits())
    assert verdict.alarm == alarm
    assert all("times those that came" in reason for reason in verdict.reasons)
    assert metrics(verdict, closed, "dev")[-1]["Value"] == ratio.value
