"""The public functions refuse arguments of another kind with an error that says what to pass."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from made_visits import made_dataset, made_frame

import visitcast
from visitcast.errors import InputError

FRAME = made_frame(users=3, mean_days=5)
NOT_VISITS: list[Any] = [FRAME, pd.DataFrame(), "visits.csv", None]


@pytest.mark.parametrize("visits", NOT_VISITS, ids=["frame", "empty frame", "path", "none"])
def test_visits_come_from_read_visits(visits: Any) -> None:
    model: Any = None
    for call in (
        lambda: visitcast.fit(visits),
        lambda: visitcast.evaluate(model, visits),
        lambda: visitcast.forecast(model, visits, "2026-11-24"),
    ):
        with pytest.raises(InputError, match=r"visitcast\.read_visits first"):
            call()


@pytest.mark.parametrize("source", [[1], None, 7])
def test_only_files_and_frames_are_read(source: Any) -> None:
    with pytest.raises(InputError, match="or pass a DataFrame"):
        visitcast.read_visits(source)


def test_one_user_is_passed_in_a_list() -> None:
    model: Any = None
    with pytest.raises(InputError, match="Pass a list"):
        visitcast.forecast(model, made_dataset(users=3, mean_days=5), "2026-11-24", users="user-0001")
