"""Forecasts in a DataFrame are those of the endpoint."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from made_visits import made_dataset

from benchmarks.random_model import write_model
from visitcast.data.dataset import with_target_days
from visitcast.data.protocol import MINIMUM_HISTORY
from visitcast.errors import InputError
from visitcast.forecasting.forecaster import forecast_last
from visitcast.forecasting.frame import forecast
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
    earlier = forecast(model, VISITS, DAY, known_until="2026-11-20")
    pd.testing.assert_frame_equal(forecast(model, VISITS, DAY, known_until=date(2026, 11, 23)), eve)
    assert (earlier.source == eve.source).all()
    asked = with_target_days(VISITS, np.full(VISITS.users, (DAY - date(1970, 1, 1)).days))
    until = np.full(VISITS.users, (date(2026, 11, 20) - date(1970, 1, 1)).days, dtype=np.int32)
    np.testing.assert_array_equal(earlier.visit_probability, forecast_last(model, asked, until).visit_probability)
    assert (earlier.visit_probability != eve.visit_probability).all()


@pytest.mark.parametrize(("until", "said"), [("soon", "is not a date"), (DAY, "not before the day to forecast")])
def test_visits_cannot_be_known_up_to_the_day_itself(model: Bundle, until: str | date, said: str) -> None:
    with pytest.raises(InputError, match=said):
        forecast(model, VISITS, DAY, known_until=until)


@pytest.mark.parametrize(
    ("day", "said"), [("tomorrow", "is not a date"), ("2026-11-01", "not later than the user's visits")]
)
def test_a_day_that_cannot_be_forecast(model: Bundle, day: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        forecast(model, VISITS, day)
