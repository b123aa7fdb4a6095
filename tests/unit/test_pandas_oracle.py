import numpy as np
import pandas_oracle
import pytest
from made_visits import made_dataset

from benchmarks import against_pandas
from visitcast.features import encoding


def test_features_are_those_of_plain_pandas():
    figures = {figure.name: figure.value for figure in against_pandas.compare(made_dataset(users=25, seed=3))}
    assert figures["largest difference"] < against_pandas.TOLERANCE
    assert figures["pandas groupby/apply"] > 0


def test_a_difference_is_noticed(monkeypatch):
    transform = encoding.transform

    def wrong(*arguments):
        values = transform(*arguments)
        values.target[7, -3] += 1e-4
        return values

    monkeypatch.setattr(encoding, "transform", wrong)
    with pytest.raises(AssertionError, match="Mismatched elements: 1 "):
        against_pandas.compare(made_dataset(users=25, seed=3))


def test_a_histogram_of_an_unknown_kind_is_refused():
    of = pandas_oracle.Histogram.of
    assert of("first_30_calendar_days").calendar_half_life == 30
    assert of("visited_same_weekday_10").factor == pytest.approx(np.exp2(-0.1))
    with pytest.raises(ValueError, match="does not know the histogram first_blue_moon"):
        of("first_blue_moon")


@pytest.mark.parametrize("name", ["copied__shoe_size", "one_hot__shoe_size_42", "cubed__month_3", "shoe_size"])
@pytest.mark.parametrize("kind", ["history", "target"])
def test_an_unknown_feature_is_refused(kind, name):
    visits = against_pandas.frame_of(made_dataset(users=1))
    shares = np.full(24, 1 / 24, dtype=np.float32)
    known = ["copied__month"]
    names = ([name], known) if kind == "history" else (known, [name])
    with pytest.raises(ValueError, match=f"does not know the feature {name}"):
        pandas_oracle.features(visits, pandas_oracle.Fitted({}, shares, shares), *names)
