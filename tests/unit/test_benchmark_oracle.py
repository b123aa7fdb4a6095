import numpy as np
import pytest
from made_visits import made_dataset

from benchmarks import against_pandas
from visitcast.features import pipeline as features


def test_features_are_those_of_plain_pandas():
    figures = {figure.name: figure.value for figure in against_pandas.compare(made_dataset(users=25, seed=3))}
    assert figures["largest difference"] < against_pandas.TOLERANCE
    assert figures["pandas groupby/apply"] > 0


def test_a_difference_is_noticed(monkeypatch):
    transform = features.transform

    def wrong(*arguments):
        values = transform(*arguments)
        values.target[7, -3] += 1e-4
        return values

    monkeypatch.setattr(features, "transform", wrong)
    with pytest.raises(AssertionError, match="Mismatched elements: 1 "):
        against_pandas.compare(made_dataset(users=25, seed=3))


def test_a_histogram_of_an_unknown_kind_is_refused():
    from benchmarks.pandas_oracle import Histogram

    assert Histogram.of("first_30_calendar_days").calendar_half_life == 30
    assert Histogram.of("visited_same_weekday_10").factor == pytest.approx(np.exp2(-0.1))
    with pytest.raises(ValueError, match="first_blue_moon"):
        Histogram.of("first_blue_moon")
