"""The learner that judges the model on simulated events: it must do what knowing the laws allows, and no more."""

from __future__ import annotations

import numpy as np
import pytest
from made_visits import changed

from benchmarks import informed_learner
from benchmarks.simulated import visit_days
from demo.simulator import World, concatenate, simulate
from visitcast.data.dataset import user_of_row
from visitcast.data.protocol import eligible_rows
from visitcast.metrics import log_losses

WORLD = World(users=60, days=90)


@pytest.fixture(scope="module")
def losses() -> dict[str, float]:
    """Mean log loss over the eligible rows, nats."""
    dataset = visit_days(WORLD)
    rows = eligible_rows(dataset)
    hour = dataset.first_visit_hour[rows]
    forecasts = informed_learner.forecast(dataset, WORLD.days)
    np.testing.assert_allclose(forecasts.sum(axis=1), 1, rtol=1e-4)
    truth = concatenate([block.truth for block in simulate(WORLD)])
    place = {key: at for at, key in enumerate(zip(truth.user.tolist(), truth.visit_date.tolist(), strict=True))}
    number = [int(str(user).removeprefix("user-")) for user in dataset.user_ids]
    known = [place[number[user_of_row(dataset)[row]], int(dataset.visit_date[row])] for row in rows]
    everyone = np.bincount(hour, minlength=24) / len(hour)
    return {
        "truth": float(log_losses(truth.probability[known], hour).mean()),
        "learner": float(log_losses(forecasts[rows], hour).mean()),
        "everyone": float(log_losses(np.tile(everyone, (len(hour), 1)), hour).mean()),
    }


def test_the_learner_lies_between_the_truth_and_what_holds_for_everyone(losses: dict[str, float]) -> None:
    assert losses["truth"] + 0.05 < losses["learner"] < losses["everyone"] - 0.2


def test_a_forecast_depends_on_earlier_days_only() -> None:
    dataset = visit_days(World(users=3, days=60))
    user = int(np.argmax(np.diff(dataset.offsets)))
    last = dataset.offsets[user + 1] - 1
    masks = dataset.hourly_visits.copy()
    masks[last] ^= (1 << 24) - 1
    before, after = (informed_learner.forecast(one, 60) for one in (dataset, changed(dataset, hourly_visits=masks)))
    np.testing.assert_array_equal(before[dataset.offsets[user] : last + 1], after[dataset.offsets[user] : last + 1])
