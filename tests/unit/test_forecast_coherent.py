"""A visit in the hour of the first visit is a visit in that hour, whatever a bundle holds."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date
from operator import ge
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from made_visits import datasets, made_dataset
from numpy.typing import NDArray

from visitcast.data import schema
from visitcast.data.dataset import Dataset, with_target_days
from visitcast.data.protocol import split
from visitcast.data.schema import HOURS
from visitcast.features.histograms import VISITED_CHANNELS, histograms_before
from visitcast.forecasting import forecaster
from visitcast.model import visit_probability
from visitcast.model.baselines import tuned_histogram
from visitcast.model.bundle import Blend, Bundle
from visitcast.model.calibration import Calibration
from visitcast.model.logits import Logits, Probabilities, any_visit, later_visit
from visitcast.model.mixture import HISTORY_STARTS
from visitcast.serving import answers
from visitcast.serving.formats import Format

DATASET = made_dataset(users=40, mean_days=20, seed=2)
PARTS = split(DATASET)
HISTOGRAM = tuned_histogram.fit(DATASET, PARTS, histograms_before(DATASET, PARTS.validation))
CHANCES = arrays.arrays(np.float32, (3, HOURS), elements=st.floats(0, 1, width=32))


@dataclass(frozen=True)
class RandomScorer:
    """Logits of any size that have nothing to do with each other."""

    seed: int
    scale: float

    kind: ClassVar[str] = "random"
    files: ClassVar[tuple[str, ...]] = ()

    def logits(
        self,
        dataset: Dataset,
        rows: NDArray[np.int64],
        histograms: NDArray[np.float32],
        eve_hours: NDArray[np.float64] | None = None,
    ) -> Logits:
        drawn = np.random.default_rng(self.seed).normal(0, self.scale, (2, len(rows), HOURS)).astype(np.float32)
        return Logits(*drawn)

    def save(self, folder: Path) -> None: ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        raise NotImplementedError


blends = st.builds(
    Blend,
    mixture=st.tuples(*[st.floats(0, 1) for _ in HISTORY_STARTS]),
    calibration=st.builds(Calibration, temperature=st.floats(0.4, 2.7), later_visit_shift=st.floats(-9, 9)),
)
bundles = st.builds(
    Bundle,
    scorer=st.builds(RandomScorer, seed=st.integers(0, 1000), scale=st.sampled_from([0.1, 3.0, 30.0])),
    histogram=st.builds(
        lambda **chosen: replace(HISTOGRAM, **chosen),
        prior_weight=st.sampled_from([0.01, 4.0, 1000.0]),
        visit_prior_weight=st.sampled_from([0.01, 4.0, 1000.0]),
        kernel_width_hours=st.sampled_from([0.1, 1.0, 5.0]),
        visit_channel=st.sampled_from([channel.name for channel in VISITED_CHANNELS]),
    ),
    eve_over=blends,
    eve_unfinished=blends,
    visit_probability=st.just(visit_probability.Parameters(0.1, (visit_probability.Weights(),) * 2)),
    metadata=st.just({}),
)


@given(bundle=bundles, dataset=datasets())
@settings(max_examples=60, deadline=None)
def test_the_chance_of_a_visit_is_never_below_that_of_the_first_visit(bundle: Bundle, dataset: Dataset) -> None:
    tomorrow = with_target_days(dataset, dataset.visit_date[dataset.offsets[1:] - 1] + 1)
    every_row = forecaster.forecast(bundle, tomorrow, np.arange(tomorrow.visit_days))
    eve = tomorrow.visit_date[tomorrow.offsets[1:] - 1] - 1
    from_last = [forecaster.forecast_last(bundle, tomorrow, until) for until in (None, eve, eve - 1)]
    for made in (every_row, *from_last):
        assert np.all(made.visit_hour >= made.first_visit_hour)
        assert np.all((made.first_visit_hour >= 0) & (made.visit_hour <= 1))
        np.testing.assert_allclose(made.first_visit_hour.sum(axis=1), 1, rtol=1e-5)
        days = [date(2026, 11, 27)] * len(made.source)
        for answer in json.loads(answers.write(made, [""] * len(days), days, {}, Format.JSON))["forecasts"]:
            assert all(map(ge, answer[schema.HOUR_PROBABILITIES], answer[schema.FIRST_HOUR_PROBABILITIES]))


@given(CHANCES, CHANCES)
def test_any_visit_is_the_first_or_a_later_one(first: NDArray[np.float32], later: NDArray[np.float32]) -> None:
    visited = any_visit(Probabilities(first, later))
    assert np.all((visited >= first) & (visited <= 1))
    np.testing.assert_allclose(1 - visited, (1 - first.astype(np.float64)) * (1 - later), atol=1e-6)
    np.testing.assert_allclose(any_visit(Probabilities(first, later_visit(first, visited))), visited, atol=1e-6)


@given(CHANCES, CHANCES)
def test_incoherent_chances_become_those_of_the_first_visit(
    first: NDArray[np.float32], visited: NDArray[np.float32]
) -> None:
    made = any_visit(Probabilities(first, later_visit(first, visited)))
    np.testing.assert_allclose(made, np.maximum(first, visited), atol=1e-6)
