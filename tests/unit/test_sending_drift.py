import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visitcast.forecasting.profile import profile
from visitcast.sending.drift import Limits, judge, metrics, psi

COUNTS = st.lists(st.integers(0, 1000), min_size=5, max_size=5)
EVALUATED = {"log_loss": 2.4, "best_hour_hit_rate": 0.5}


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


@given(COUNTS, COUNTS)
def test_psi_is_symmetric_and_never_negative(before, now):
    assert psi(before, now) == pytest.approx(psi(now, before))
    assert psi(before, now) >= 0
    assert psi(before, before) == 0


def test_psi_of_a_known_shift():
    # (0.6 - 0.5) ln(0.6 / 0.5) + (0.4 - 0.5) ln(0.4 / 0.5)
    assert psi([500_000, 500_000], [600_000, 400_000]) == pytest.approx(0.0405, abs=1e-4)


def test_another_draw_of_the_same_users_is_no_drift():
    verdict = judge(made_profile(1), made_profile(2), None, None, Limits())
    assert not verdict.alarm
    assert set(verdict.psi) == set(made_profile(1))
    assert max(verdict.psi.values()) < 0.01


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({"platforms": (0.05, 0.05, 0.8, 0.1)}, ["input: platform"]),
        ({"shift": 6}, ["forecast: best hour", "forecast: first visit hour"]),
    ],
)
def test_a_shift_is_named(changed, names):
    verdict = judge(made_profile(1, **changed), made_profile(2), None, None, Limits())
    assert verdict.alarm
    assert [reason.partition(" has shifted")[0] for reason in verdict.reasons] == names


def test_the_first_run_has_nothing_to_compare_with():
    verdict = judge(made_profile(1), None, None, EVALUATED, Limits())
    assert verdict.alarm is False
    # CloudWatch refuses a metric without a number: what is not known is not sent.
    assert metrics(verdict, "dev") == [
        {"MetricName": "drift_limits_passed", "Value": 0, "Dimensions": [{"Name": "Environment", "Value": "dev"}]}
    ]


@pytest.mark.parametrize(
    ("realised", "reasons"),
    [
        pytest.param({"rows": 5000, "log_loss": 2.5, "best_hour_hit_rate": 0.47}, [], id="within"),
        pytest.param({"rows": 5000, "log_loss": 2.6, "best_hour_hit_rate": 0.5}, ["log loss"], id="log loss"),
        pytest.param({"rows": 5000, "log_loss": 2.4, "best_hour_hit_rate": 0.4}, ["hit rate"], id="hit rate"),
        pytest.param({"rows": 10, "log_loss": 9.0, "best_hour_hit_rate": 0.0}, [], id="too few"),
    ],
)
def test_outcomes_are_held_against_the_evaluation(realised, reasons):
    verdict = judge(made_profile(1), made_profile(1), realised, EVALUATED, Limits())
    assert len(verdict.reasons) == len(reasons)
    assert all(word in reason for word, reason in zip(reasons, verdict.reasons, strict=True))
    assert verdict.realised == realised
