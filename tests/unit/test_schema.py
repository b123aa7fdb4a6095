import re

import numpy as np
import pytest

from visitcast.data import schema


def test_the_columns_are_those_of_the_contract():
    assert schema.VISITS_COLUMNS == (
        "user_id",
        "visit_date",
        "total_time_spent_s",
        "total_page_views",
        "page_views_type_1",
        "page_views_type_2",
        "page_views_type_3",
        "page_views_type_4",
        "first_visit_hour",
        "last_visit_hour",
        "hourly_visits",
        "platform",
        "utc_offset_minutes",
    )


@pytest.mark.parametrize("column", [c for c in schema.VISITS if c.kind == "integer"], ids=lambda c: c.name)
def test_every_value_in_range_fits_the_dtype(column):
    limits = np.iinfo(column.dtype)
    assert column.minimum is not None
    assert column.maximum is not None
    assert limits.min <= column.minimum <= column.maximum <= limits.max


def test_names_are_athena_identifiers():
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in schema.VISITS_COLUMNS)
