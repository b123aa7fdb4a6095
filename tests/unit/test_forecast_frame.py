"""Forecasts in a DataFrame are those of the endpoint."""

from dataclasses import replace
from datetime import date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest
from made_visits import changed, made_dataset

from benchmarks.random_model import write_model
from visitcast.data.dataset import with_target_days
from visitcast.data.protocol import MINIMUM_HISTORY
from visitcast.errors import InputError
from visitcast.features.histograms import last_histograms
from visitcast.forecasting.forecaster import forecast_last
from visitcast.forecasting.frame import forecast
from visitcast.model import visit_probability
from visitcast.model.baselines import tuned_histogram
from visitcast.model.bundle import Bundle

DAY = date(2026, 11, 24)
VISITS = made_dataset(users=40, mean_days=12)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_model(tmp_path_factory.mktemp("bundle") / "model", VISITS)


def test_everybody_is_forecast_once(model: Bundle) -> None:
    made = forecast(model, VISITS, DAY)
    target = (DAY - date(1970, 1, 1)).days
    expected = forecast_last(model, with_target_days(VISITS, np.full(VISITS.users, target)))
    assert made.index.to_list() == VISITS.user_ids.tolist()
    np.testing.assert_array_equal(np.stack(made.first_visit_hour), expected.first_visit_hour)
    np.testing.assert_array_equal(np.stack(made.visit_hour), expected.visit_hour)
    assert made.best_hour.to_list() == expected.best_hour.tolist()
    assert made.confidence.to_list() == expected.visit_hour.max(axis=1).tolist()
    np.testing.assert_array_equal(made.visit_probability, expected.visit_probability)
    few_days = np.diff(VISITS.offsets) < MINIMUM_HISTORY
    assert few_days.any()
    assert made.source.to_list() == np.where(few_days, "prior", "model").tolist()


def test_the_baseline_of_a_model_is_its_histogram_for_everybody(model: Bundle) -> None:
    made, known = forecast(replace(model, baseline_only=True), VISITS, DAY), forecast(model, VISITS, DAY)
    few_days = np.diff(VISITS.offsets) < MINIMUM_HISTORY
    assert made.source.to_list() == np.where(few_days, "prior", "baseline").tolist()
    days = np.full(VISITS.users, (DAY - date(1970, 1, 1)).days)
    counts = last_histograms(with_target_days(VISITS, days))
    first = tuned_histogram.predict(model.histogram, days, counts)
    np.testing.assert_allclose(np.stack(made.first_visit_hour), first, atol=1e-6)
    visited = np.maximum(tuned_histogram.visit_hours(model.histogram, counts), first)
    np.testing.assert_allclose(np.stack(made.visit_hour), visited, atol=1e-6)
    assert not np.array_equal(np.stack(made.visit_hour)[~few_days], np.stack(known.visit_hour)[~few_days])
    pd.testing.assert_series_equal(made.visit_probability, known.visit_probability)
    pd.testing.assert_frame_equal(made[few_days], known[few_days])


def test_users_are_answered_in_the_order_asked_also_new_ones(model: Bundle) -> None:
    everybody = forecast(model, VISITS, DAY)
    asked = ["user-0007", "nobody", "user-0002", "user-0007"]
    made = forecast(model, VISITS, str(DAY), users=asked)
    assert made.index.to_list() == asked
    for user in ("user-0007", "user-0002"):
        np.testing.assert_allclose(np.stack(made.loc[[user]].visit_hour)[0], everybody.visit_hour[user], atol=1e-6)
    new = made.loc["nobody"]
    assert new.source == "prior"
    assert np.isnan(new.visit_probability)
    prior, visit_prior = model.histogram.prior[0], model.histogram.visit_prior  # a Tuesday
    np.testing.assert_allclose(new.first_visit_hour, prior, atol=1e-6)
    np.testing.assert_allclose(new.visit_hour, np.maximum(prior, visit_prior), atol=1e-6)


def test_a_day_may_be_a_timestamp(model: Bundle) -> None:
    pd.testing.assert_frame_equal(forecast(model, VISITS, pd.Timestamp(DAY)), forecast(model, VISITS, DAY))


def test_the_days_that_are_not_over_do_not_count_as_days_without_a_visit(model: Bundle) -> None:
    eve = forecast(model, VISITS, DAY)
    earlier = forecast(model, VISITS, DAY, as_of="2026-11-23T16:00:00Z")
    midnight = datetime(2026, 11, 24, tzinfo=timezone(timedelta(hours=1)))  # where the users are
    pd.testing.assert_frame_equal(forecast(model, VISITS, DAY, as_of=midnight), eve)
    assert (earlier.source == eve.source).all()
    asked = with_target_days(VISITS, np.full(VISITS.users, (DAY - date(1970, 1, 1)).days))
    as_of = np.full(VISITS.users, ((DAY - date(1970, 1, 1)).days * 24 - 8) * 60)
    np.testing.assert_array_equal(earlier.visit_probability, forecast_last(model, asked, as_of).visit_probability)
    assert (earlier.visit_probability != eve.visit_probability).all()


@pytest.mark.parametrize("instant", ["soon", "2026-11-23", datetime(2026, 11, 23, 16)])
def test_visits_end_at_an_instant_with_a_time_zone(model: Bundle, instant: str | datetime) -> None:
    with pytest.raises(InputError, match="as_of is not an instant"):
        forecast(model, VISITS, DAY, as_of=instant)


@pytest.mark.parametrize(
    ("day", "said"), [("tomorrow", "is not a date"), ("2026-11-01", "not later than the user's visits")]
)
def test_a_day_that_cannot_be_forecast(model: Bundle, day: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        forecast(model, VISITS, day)


@pytest.mark.parametrize("offset", [-480, 0, 345, 840])
def test_the_probability_changes_hour_by_hour_from_one_midnight_to_the_next(model: Bundle, offset: int) -> None:
    dataset = changed(VISITS, utc_offset_minutes=np.full(VISITS.visit_days, offset))
    target = int(dataset.visit_date.max()) + 3
    asked = with_target_days(dataset, np.full(dataset.users, target))
    rows = asked.offsets[1:] - 1
    nothing = np.zeros(dataset.users)
    for under_way in (target - 2, target - 1):
        ends = [
            visit_probability.predict(model.visit_probability, asked, rows, np.full(dataset.users, day), nothing)
            for day in (under_way - 1, under_way)
        ]
        assert (ends[0] != ends[1]).all()
        before = ends[0]
        for hour in range(25):
            as_of = np.full(dataset.users, under_way * 1440 + hour * 60 - offset)
            made = forecast_last(model, asked, as_of).visit_probability
            if hour in (0, 24):
                np.testing.assert_allclose(made, ends[hour // 24], rtol=1e-4)
            # Each hour without a visit moves it the same way.
            assert ((made - before) * (ends[1] - ends[0]) >= -1e-6).all()
            before = made
