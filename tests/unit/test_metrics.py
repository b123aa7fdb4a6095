import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from metric_loops import of_points, of_probabilities

from visitcast import metrics as m


def masks(hours):
    return np.array([1 << hour for hour in hours], dtype=np.int32)


def made_forecasts(rows=200, seed=0):
    rng = np.random.default_rng(seed)
    P = rng.dirichlet(np.full(24, 0.5), size=rows)
    first = np.array([rng.choice(24, p=p) for p in P])
    visited = masks(first) | (1 << rng.integers(24, size=rows)).astype(np.int32)
    return P, first, visited


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_their_definitions(seed):
    P, first, visited = made_forecasts(seed=seed)
    assert m.score_probabilities(P, first, visited) == pytest.approx(of_probabilities(P, first, visited))


def test_a_perfect_forecast():
    first = np.arange(24)
    scores = m.score_probabilities(np.eye(24), first, masks(first))
    assert scores == {
        m.LOG_LOSS: 0,
        m.BEST_HOUR_HIT_RATE: 1,
        m.TOP1: 1,
        m.WITHIN_ONE_HOUR: 1,
        m.CIRCULAR_MAE_HOURS: 0,
        m.MAE_HOURS: 0,
        m.RMSE_HOURS: 0,
        m.ECE: 0,
    }


def test_a_wrong_certainty_costs_much_but_not_infinity():
    assert m.log_losses(np.eye(24)[[3]], np.array([4])) == pytest.approx([-np.log(1e-12)])


def test_a_separate_best_hour_moves_the_hit_rate_alone():
    P, first, visited = made_forecasts()
    best = np.array([int(mask).bit_length() - 1 for mask in visited])
    plain, other = m.score_probabilities(P, first, visited), m.score_probabilities(P, first, visited, best_hour=best)
    assert other.pop(m.BEST_HOUR_HIT_RATE) == 1
    assert plain.pop(m.BEST_HOUR_HIT_RATE) < 1
    assert plain == other


@given(
    st.lists(
        st.tuples(
            st.one_of(st.floats(-3, 30), st.integers(-2, 50).map(lambda halves: halves / 2)),
            st.integers(0, 23),
            st.integers(1, 2**24 - 1),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_scores_of_points_are_their_definitions(rows):
    points, first, visited = (np.array(values) for values in zip(*rows, strict=True))
    found = m.summarise(m.point_outcomes(points, first, visited.astype(np.int32)))
    assert found == pytest.approx(of_points(points, first, visited))


def test_a_fractional_point():
    scores = m.summarise(m.point_outcomes(np.array([22.75]), np.array([1]), masks([23])))
    assert scores[m.BEST_HOUR_HIT_RATE] == 1
    assert scores[m.CIRCULAR_MAE_HOURS] == 2
    assert scores[m.MAE_HOURS] == pytest.approx(21.75)


@pytest.mark.parametrize(("first", "share"), [(22, 0), (23, 1), (0, 1), (1, 1), (2, 0)])
def test_a_point_is_within_one_hour_round_the_clock(first, share):
    scores = m.summarise(m.point_outcomes(np.array([0.2]), np.array([first]), masks([first])))
    assert scores[m.WITHIN_ONE_HOUR] == share


def test_every_scorer_gives_every_metric():
    P, first, visited = made_forecasts()
    assert tuple(m.score_probabilities(P, first, visited)) == m.METRICS
    assert tuple(m.summarise(m.point_outcomes(first, first, visited))) == m.METRICS


@pytest.mark.parametrize("part", ["mask", "numbers"])
def test_scores_of_some_rows_are_those_of_these_rows_alone(part):
    P, first, visited = made_forecasts()
    mask = first < 12
    outcomes = m.select(m.probability_outcomes(P, first, visited), mask if part == "mask" else np.flatnonzero(mask))
    assert m.summarise(outcomes) == m.score_probabilities(P[mask], first[mask], visited[mask])


def test_reliability_bins_hold_every_row_and_make_up_the_calibration_error():
    P, first, _ = made_forecasts(rows=500)
    confidence, correct = P.max(axis=1), P.argmax(axis=1) == first
    bins = m.reliability(confidence, correct)
    assert sum(one.rows for one in bins) == 500
    assert all(one.low <= one.forecast <= one.high for one in bins)
    gaps = sum(one.rows * abs(one.observed - one.forecast) for one in bins)
    assert gaps / 500 == pytest.approx(m.expected_calibration_error(confidence, correct))
