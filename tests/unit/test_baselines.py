import json

import numpy as np
import pytest
from made_visits import changed, history_of, made_dataset

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
