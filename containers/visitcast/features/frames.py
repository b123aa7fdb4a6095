"""Unscaled features: each visit day as it was, and what is known before each day.

As columns, which need NumPy alone and so serve the endpoint, and as pandas frames, which scikit-learn fits on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data import schema
from visitcast.data.dataset import Dataset, days_since_last_visit, position_in_history
from visitcast.features.histograms import SATURDAY, weekday

if TYPE_CHECKING:
    import pandas as pd

Columns = dict[str, NDArray[Any]]
Rows = NDArray[np.int64]

AMOUNTS: Final = (schema.TOTAL_TIME_SPENT_S, schema.TOTAL_PAGE_VIEWS, *schema.PAGE_VIEWS_BY_TYPE)
GAP: Final = "days_since_last_visit"
GAP_FLAGS: Final = {f"{GAP}_is_{days}": days for days in (1, 2, 3, 7)}
DAY_OF_WEEK: Final = "day_of_week"
DAY_OF_MONTH: Final = "day_of_month"
MONTH: Final = "month"
WEEKEND: Final = "is_weekend"
EARLIER_VISIT_DAYS: Final = "earlier_visit_days"
LAST_HOUR_YESTERDAY: Final = "last_hour_yesterday"

_DAYS: Final = np.dtype("datetime64[D]")
_MONTHS: Final = np.dtype("datetime64[M]")
_FLAGGED_GAPS: Final = np.array([[days] for days in GAP_FLAGS.values()], dtype=np.int32)


def history_columns(dataset: Dataset, rows: Rows | None = None) -> Columns:
    """Describe visit days as they were: the article's historical features, unscaled.

    Columns [rows]; [N] without `rows`, as views where the dataset has them.
    """
    return {
        schema.TOTAL_TIME_SPENT_S: _of_rows(dataset.total_time_spent_s, rows),
        schema.TOTAL_PAGE_VIEWS: _of_rows(dataset.total_page_views, rows),
        **dict(zip(schema.PAGE_VIEWS_BY_TYPE, _of_rows(dataset.page_views_by_type, rows).T, strict=True)),
        schema.FIRST_VISIT_HOUR: _of_rows(dataset.first_visit_hour, rows),
        schema.LAST_VISIT_HOUR: _of_rows(dataset.last_visit_hour, rows),
        schema.HOURLY_VISITS: _of_rows(dataset.hourly_visits, rows),
        schema.PLATFORM: _of_rows(dataset.platform, rows),
        **_calendar(_of_rows(dataset.visit_date, rows)),
        **_gap_columns(days_since_last_visit(dataset, rows)),
    }


def target_columns(dataset: Dataset, rows: Rows | None = None) -> Columns:
    """Describe what is known before days, unscaled and without the histograms, [rows] each; [N] without `rows`."""
    day = _calendar(_of_rows(dataset.visit_date, rows))
    gap = days_since_last_visit(dataset, rows)
    last_hour = dataset.last_visit_hour
    previous_last_hour = np.roll(last_hour, 1) if rows is None else last_hour[rows - 1]
    return {
        **day,
        **_gap_columns(gap),
        WEEKEND: day[DAY_OF_WEEK] >= SATURDAY,
        EARLIER_VISIT_DAYS: position_in_history(dataset, rows),
        # Who was up past midnight comes later today. -1: not here yesterday; the encoder gives zeros.
        LAST_HOUR_YESTERDAY: np.where(gap == 1, previous_last_hour, -1),
    }


def history_frame(dataset: Dataset) -> pd.DataFrame:
    """Put :func:`history_columns` into a frame, [N rows]."""
    return _frame(history_columns(dataset))


def target_frame(dataset: Dataset) -> pd.DataFrame:
    """Put :func:`target_columns` into a frame, [N rows]."""
    return _frame(target_columns(dataset))


def _frame(columns: Columns) -> pd.DataFrame:
    import pandas as pd  # Only here: the serving image has no pandas.

    return pd.DataFrame(columns)


def _of_rows(values: NDArray[Any], rows: Rows | None) -> NDArray[Any]:
    return values if rows is None else values[rows]


def _calendar(visit_date: NDArray[np.int32]) -> Columns:
    date = visit_date.astype(_DAYS)
    month = date.astype(_MONTHS)
    return {
        DAY_OF_WEEK: weekday(visit_date),
        DAY_OF_MONTH: (date - month).view(np.int64) + 1,
        MONTH: month.view(np.int64) % 12 + 1,
    }


def _gap_columns(gap: NDArray[np.int32]) -> Columns:
    flags = gap == _FLAGGED_GAPS
    return {GAP: gap, **dict(zip(GAP_FLAGS, flags, strict=True))}
