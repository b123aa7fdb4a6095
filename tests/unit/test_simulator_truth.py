"""The truth is the truth: against a plain slot-by-slot computation, against simulation, and by calibration."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from demo.simulator import Truth, World, best_possible_log_loss, concatenate, simulate
from demo.simulator.clock import Clock, make_clock
from demo.simulator.sessions import draw_sessions
from demo.simulator.truth import carry_over, first_hour_probability, protocol_rows, truth_of

EPOCH = date(1970, 1, 1)


def plain_first_hour(activity: float, per_slot: list[float], hours: list[int], carry: float) -> np.ndarray:
    """The same probability, walked slot by slot through the day."""
    p = np.zeros(24)
    nothing_on, nothing_off = activity * (1 - carry), (1 - activity) * (1 - carry)
    p[hours[0]] += carry
    for hour, expected in zip(hours, per_slot, strict=True):
        p[hour] += nothing_on * (1 - np.exp(-expected))
        nothing_on *= np.exp(-expected)
    np.testing.assert_allclose(p.sum() + nothing_on + nothing_off, 1)
    return p / p.sum()


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        pytest.param("UTC", date(2026, 6, 10), id="plain"),
        pytest.param("Europe/Berlin", date(2026, 3, 29), id="hour 2 skipped"),
        pytest.param("Europe/Berlin", date(2026, 10, 25), id="hour 2 twice"),
        pytest.param("Africa/Cairo", date(2026, 4, 24), id="hour 0 skipped"),
        pytest.param("Africa/Cairo", date(2026, 10, 29), id="hour 23 twice"),
    ],
)
@settings(max_examples=30, deadline=None)
@given(
    activity=st.floats(0.01, 1),
    carry=st.floats(0, 0.99),
    intensity=st.lists(st.floats(0.001, 2), min_size=24, max_size=24),
)
def test_formula_agrees_with_a_walk_through_the_day(
    zone: str, day: date, activity: float, carry: float, intensity: list[float]
) -> None:
    clock = make_clock((zone,), day - timedelta(days=2), 5)
    hours = [int(h) for h in clock.hour[0, 2] if h >= 0]
    expected = plain_first_hour(activity, [intensity[h] for h in hours], hours, carry)
    got = first_hour_probability(
        np.array([activity]),
        np.array([intensity]) * clock.exposure[:1, 2],
        np.array([carry]),
        np.array([hours[0]]),
    )
    np.testing.assert_allclose(got[0], expected, rtol=1e-9, atol=1e-12)
    assert not got[0, [h for h in range(24) if h not in hours]].any()


def same_user_many_times(copies: int, clock: Clock) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A night owl's zone, activity, intensity and run-on probability, for every copy."""
    days = len(clock.dates)
    hour = np.arange(24)
    rhythm = 0.02 + 0.5 * np.exp(-0.5 * ((hour - 9) / 1.5) ** 2) + 0.9 * np.exp(-0.5 * ((hour - 23.3) / 1.0) ** 2)
    activity = np.where(clock.slots[0] > 0, 0.6, 0.0)
    return (
        np.zeros(copies, np.int64),
        np.tile(activity, (copies, 1)),
        np.tile(rhythm, (copies, days, 1)),
        np.full(copies, 0.8),
    )


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        pytest.param("Asia/Kathmandu", date(2026, 6, 10), id="plain"),
        pytest.param("Europe/Berlin", date(2026, 3, 29), id="hour 2 skipped"),
        pytest.param("Europe/Berlin", date(2026, 10, 25), id="hour 2 twice"),
        pytest.param("Africa/Cairo", date(2026, 4, 24), id="hour 0 skipped"),
    ],
)
def test_truth_agrees_with_simulating_one_user_many_times(zone: str, day: date) -> None:
    clock = make_clock((zone,), day - timedelta(days=3), 6)
    d = int(np.flatnonzero(clock.dates == (day - EPOCH).days)[0])
    users = same_user_many_times(40_000, clock)
    sessions = draw_sessions(np.random.default_rng(1), clock, *users)
    truth = truth_of(sessions, clock, *users, first_user=0)
    carry = carry_over(sessions, clock, users[0], users[3])[:, d]
    on_day = truth.visit_date == clock.dates[d]
    for history in (0.0, 0.8):  # without and with a late session on the evening before
        rows = on_day & np.isclose(carry[truth.user], history)
        assert rows.sum() > 500
        p = truth.probability[rows].astype(np.float64)
        np.testing.assert_allclose(p, np.broadcast_to(p[0], p.shape))
        seen = np.bincount(truth.first_visit_hour[rows], minlength=24)
        possible = p[0] > 0
        assert not seen[~possible].any()
        assert stats.chisquare(seen[possible], p[0, possible] / p[0, possible].sum() * seen.sum()).pvalue > 1e-3


@pytest.fixture(scope="module")
def truth() -> Truth:
    return concatenate([block.truth for block in simulate(World(users=2500, days=120, end=date(2026, 11, 10), seed=3))])


def test_truth_is_calibrated_hour_by_hour(truth: Truth) -> None:
    p = truth.probability.astype(np.float64)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    seen = np.bincount(truth.first_visit_hour, minlength=24)
    sd = np.sqrt((p * (1 - p)).sum(axis=0))
    assert np.abs((seen - p.sum(axis=0)) / sd).max() < 4


@pytest.mark.parametrize("low", [0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7])
def test_truth_is_calibrated_at_every_level_of_probability(truth: Truth, low: float) -> None:
    p = truth.probability.astype(np.float64)
    came = np.zeros_like(p, dtype=bool)
    came[np.arange(len(p)), truth.first_visit_hour] = True
    level = (p > low) & (p <= {0.0: 0.02, 0.02: 0.05, 0.05: 0.1, 0.1: 0.2, 0.2: 0.4, 0.4: 0.7, 0.7: 1.0}[low])
    z = (came[level].sum() - p[level].sum()) / np.sqrt((p[level] * (1 - p[level])).sum())
    assert level.sum() > 50
    assert abs(z) < 4


def test_randomised_pit_is_uniform(truth: Truth) -> None:
    p = truth.probability.astype(np.float64)
    rows = np.arange(len(p))
    below = np.cumsum(p, axis=1)[rows, truth.first_visit_hour] - p[rows, truth.first_visit_hour]
    pit = below + np.random.default_rng(0).random(len(p)) * p[rows, truth.first_visit_hour]
    assert stats.kstest(pit, "uniform").pvalue > 1e-3


def perturbations(p: np.ndarray) -> dict[str, np.ndarray]:
    noise = np.random.default_rng(0).normal(0, 0.3, p.shape)
    return {
        "flattened": 0.95 * p + 0.05 / 24,
        "sharpened": p**1.15,
        "an hour later": 0.9 * p + 0.1 * np.roll(p, 1, axis=1),
        "population mean": np.broadcast_to(p.mean(axis=0), p.shape),
        "noise": p * np.exp(noise),
    }


@pytest.mark.parametrize("name", ["flattened", "sharpened", "an hour later", "population mean", "noise"])
def test_no_perturbed_truth_has_a_lower_log_loss(truth: Truth, name: str) -> None:
    starts = EPOCH + timedelta(days=int(truth.visit_date.min()))
    other = perturbations(truth.probability.astype(np.float64))[name] + 1e-9
    other = (other / other.sum(axis=1, keepdims=True)).astype(np.float32)
    changed = Truth(truth.user, truth.visit_date, truth.first_visit_hour, other)
    assert best_possible_log_loss(truth, starts) < best_possible_log_loss(changed, starts)


def test_best_log_loss_leaves_noise_and_rewards_knowing_the_user(truth: Truth) -> None:
    rows = protocol_rows(truth)
    starts = EPOCH + timedelta(days=int(np.quantile(truth.visit_date[rows], 0.9)))
    best = best_possible_log_loss(truth, starts)
    share = np.bincount(truth.first_visit_hour, minlength=24) / len(truth.user)
    global_log_loss = -np.log(share[truth.first_visit_hour[rows]]).mean()
    assert 2.1 < best < 2.7
    assert best + 0.4 < global_log_loss


def test_rows_have_three_earlier_active_days() -> None:
    user = np.array([4, 4, 4, 4, 4, 9, 9, 9, 9])
    nothing = np.zeros(len(user), np.int8)
    truth = Truth(user, np.arange(9, dtype=np.int32), nothing, np.full((9, 24), 1 / 24, np.float32))
    assert np.flatnonzero(protocol_rows(truth)).tolist() == [3, 4, 8]
    assert best_possible_log_loss(truth, EPOCH + timedelta(days=8)) == pytest.approx(np.log(24))
    with pytest.raises(ValueError, match="no test row"):
        best_possible_log_loss(truth, EPOCH + timedelta(days=9))
