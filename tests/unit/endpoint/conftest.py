"""One model, one server of it, and what it must answer, for all tests of the serving image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from forecast_requests import VISITS
from made_visits import from_frame
from served_model import Server, running

from benchmarks.random_model import write_model
from visitcast.data.dataset import with_target_days
from visitcast.forecasting import forecaster
from visitcast.model import bundle


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("endpoint")
    write_model(folder / "model", from_frame(VISITS))
    return folder


@pytest.fixture(scope="session")
def server(root: Path) -> Iterator[Server]:
    with running(root) as served:
        yield served


@pytest.fixture(scope="session")
def expected(root: Path) -> dict[str, dict[str, Any]]:
    """What the evaluation would have scored, by user."""
    dataset = from_frame(VISITS)
    extended = with_target_days(dataset, dataset.visit_date[dataset.offsets[1:] - 1] + 1)
    made = forecaster.forecast(bundle.load(root / "model"), extended, extended.offsets[1:] - 1)
    return {
        user: {
            "first_visit_hour": made.first_visit_hour[number],
            "visit_hour": made.visit_hour[number],
            "visit_probability": made.visit_probability[number],
        }
        for number, user in enumerate(dataset.user_ids.tolist())
    }
