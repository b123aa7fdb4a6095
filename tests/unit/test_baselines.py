import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_visits import changed, history_of, made_dataset
from metric_loops import of_points

from visitcast.data.calendar import is_weekend
from visitcast.data.dataset import position_in_history, with_target_days
from visitcast.data.protocol import split
from visitcast.features.histograms import decayed_histograms
from visitcast.metrics import LOG_LOSS, METRICS, log_losses
from visitcast.model.baselines import (
    BASELINES,
    global_histogram,
    last_hour,
    score_baselines,
    tuned_histogram,
    user_histogram,
)

DATASET = made_dataset(users=80, mean_days=30, seed=5)
SPLIT = split(DATASET)
HISTOGRAMS = decayed_histograms(DATASET)
SCORES = score_baselines(DATASET, SPLIT, HISTOGRAMS)


def test_every_baseline_without_a_network_has_every_metric():
    assert {*SCORES, "article_gru"} == set(BASELINES)
    assert all(tuple(scores) == METRICS for scores in SCORES.values())
    assert [name for name, scores in SCORES.items() if scores[LOG_LOSS] is None] == ["last_hour"]


def test_knowing_the_user_beats_knowing_everyone():
    """The made users each have a favourite hour."""
    assert SCORES["user_histogram"][LOG_LOSS] < SCORES["global_histogram"][LOG_LOSS] < np.log(24) + 0.1
    assert SCORES["tuned_histogram"][LOG_LOSS] < SCORES["user_histogram"][LOG_LOSS]


def test_the_global_histogram_counts_training_rows():
    shares = global_histogram.fit(DATASET, SPLIT)
    hours = DATASET.first_visit_hour[SPLIT.train].tolist()
    assert shares == pytest.approx([(hours.count(hour) + 1) / (len(hours) + 24) for hour in range(24)])
    assert global_histogram.predict(shares, SPLIT.test).shape == (len(SPLIT.test), 24)


def test_the_last_hour_is_that_of_the_row_before():
    rows = np.flatnonzero(position_in_history(DATASET) > 0)
    assert last_hour.predict(DATASET, rows).tolist() == [DATASET.first_visit_hour[row - 1] for row in rows]


def test_the_last_hour_has_the_scores_of_its_hours():
    hours = [DATASET.first_visit_hour[row - 1] for row in SPLIT.test]
    truth = DATASET.first_visit_hour[SPLIT.test], DATASET.hourly_visits[SPLIT.test]
    assert SCORES["last_hour"] == pytest.approx(of_points(hours, *truth))


def test_the_user_histogram_takes_the_weight_that_fits_validation_best():
    fitted = user_histogram.fit(DATASET, SPLIT, HISTOGRAMS)
    hours = DATASET.first_visit_hour[SPLIT.validation]

    def loss(weight):
        parameters = user_histogram.Parameters(fitted.prior, weight)
        return log_losses(user_histogram.predict(parameters, HISTOGRAMS[SPLIT.validation]), hours).mean()

    assert loss(fitted.prior_weight) == min(loss(weight) for weight in user_histogram.PRIOR_WEIGHTS)


def test_fitting_does_not_look_at_test_rows():
    blind = DATASET.first_visit_hour.copy()
    blind[SPLIT.test] = 0
    other = changed(DATASET, first_visit_hour=blind)
    # Histograms of training and validation rows use earlier days only, hence none of the test part.
    histograms = decayed_histograms(other)
    assert tuned_histogram.fit(other, SPLIT, histograms[SPLIT.validation]) == tuned_histogram.fit(
        DATASET, SPLIT, HISTOGRAMS[SPLIT.validation]
    )
    assert np.array_equal(global_histogram.fit(other, SPLIT), global_histogram.fit(DATASET, SPLIT))


def test_tuning_never_ends_behind_its_start():
    fitted = tuned_histogram.fit(DATASET, SPLIT, HISTOGRAMS[SPLIT.validation])
    start = tuned_histogram.Parameters(prior=fitted.prior, visit_prior=fitted.visit_prior)
    rows = SPLIT.validation
    hours, dates, counts = DATASET.first_visit_hour[rows], DATASET.visit_date[rows], HISTOGRAMS[rows]
    assert (
        log_losses(tuned_histogram.predict(fitted, dates, counts), hours).mean()
        <= log_losses(tuned_histogram.predict(start, dates, counts), hours).mean()
    )


@given(
    seed=st.integers(0, 10_000),
    users=st.integers(30, 60),
    moved=st.integers(0, 23),
    mixed=st.sampled_from([0.0, 0.5, 1.0]),
)
@settings(max_examples=15, deadline=None)
def test_the_tuned_histogram_is_never_worse_than_the_global_one_on_validation(seed, users, moved, mixed):
    dataset = made_dataset(users, mean_days=15, seed=seed)
    parts = split(dataset)
    rng = np.random.default_rng(seed)
    # Habits that end where validation starts, and hours that have nothing to do with the user.
    hour = dataset.first_visit_hour.astype(int) + np.where(dataset.visit_date >= parts.validation_starts, moved, 0)
    hour = np.where(rng.random(len(hour)) < mixed, rng.choice(hour, len(hour)), hour) % 24
    dataset = changed(dataset, first_visit_hour=hour.astype(np.int8))
    rows = parts.validation
    counts = decayed_histograms(dataset)[rows]
    fitted = tuned_histogram.fit(dataset, parts, counts)
    tuned = log_losses(
        tuned_histogram.predict(fitted, dataset.visit_date[rows], counts), dataset.first_visit_hour[rows]
    )
    everyone = global_histogram.predict(global_histogram.fit(dataset, parts), rows)
    assert tuned.mean() <= log_losses(everyone, dataset.first_visit_hour[rows]).mean() + 1e-6


def test_a_type_of_day_without_training_rows_has_the_prior_of_all_days():
    weekend = is_weekend(DATASET.visit_date)
    parts = replace(SPLIT, train=SPLIT.train[~weekend[SPLIT.train]])
    _, weekends = tuned_histogram.fit(DATASET, parts, HISTOGRAMS[SPLIT.validation]).prior
    hours = DATASET.first_visit_hour[parts.train].tolist()
    np.testing.assert_allclose(weekends, [(hours.count(hour) + 20) / (len(hours) + 480) for hour in range(24)])


def test_tuned_forecasts_are_probabilities():
    fitted = tuned_histogram.fit(DATASET, SPLIT, HISTOGRAMS[SPLIT.validation])
    forecast = tuned_histogram.predict(fitted, DATASET.visit_date, HISTOGRAMS)
    visits = tuned_histogram.visit_hours(fitted, HISTOGRAMS)
    np.testing.assert_allclose(forecast.sum(axis=1), 1, rtol=1e-4)
    assert forecast.min() > 0
    assert 0 <= visits.min() <= visits.max() <= 1


def test_tuned_parameters_survive_json_and_serve_one_user():
    fitted = tuned_histogram.fit(DATASET, SPLIT, HISTOGRAMS[SPLIT.validation])
    shipped = tuned_histogram.from_json(json.loads(json.dumps(tuned_histogram.to_json(fitted))))
    assert shipped == fitted
    user = 7
    start, end = DATASET.offsets[user : user + 2]
    asked = with_target_days(history_of(DATASET, user, end - start - 1), DATASET.visit_date[[end - 1]])
    served = tuned_histogram.predict(shipped, asked.visit_date[-1:], decayed_histograms(asked)[-1:])
    trained = tuned_histogram.predict(fitted, DATASET.visit_date[[end - 1]], HISTOGRAMS[[end - 1]])
    np.testing.assert_array_equal(served, trained)


def test_someone_new_gets_the_prior_of_the_day():
    fitted = tuned_histogram.fit(DATASET, SPLIT, HISTOGRAMS[SPLIT.validation])
    nobody = np.zeros((2, *HISTOGRAMS.shape[1:]), dtype=np.float32)
    monday_and_sunday = np.array(["2026-11-23", "2026-11-22"], dtype="datetime64[D]").astype(np.int32)
    np.testing.assert_allclose(tuned_histogram.predict(fitted, monday_and_sunday, nobody), fitted.prior, rtol=1e-5)
