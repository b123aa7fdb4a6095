from datetime import date

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from visitcast.data.calendar import date_of, days_since_epoch, is_weekend, month_and_day, weekday


@given(st.lists(st.dates(date(1900, 1, 1), date(2200, 12, 31)), min_size=1))
def test_the_calendar_is_that_of_the_standard_library(dates):
    days = np.array([days_since_epoch(day) for day in dates], dtype=np.int32)
    assert days.tolist() == np.array(dates, dtype="datetime64[D]").astype(int).tolist()
    assert [date_of(number) for number in days.tolist()] == dates
    assert weekday(days).tolist() == [day.weekday() for day in dates]
    assert is_weekend(days).tolist() == [day.weekday() in (5, 6) for day in dates]
    month, day_of_month = month_and_day(days)
    assert month.tolist() == [day.month for day in dates]
    assert day_of_month.tolist() == [day.day for day in dates]
