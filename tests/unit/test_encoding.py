"""Encoders and fitted numbers against their counterparts in scikit-learn; the numbers as JSON."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_visits import changed, datasets, made_dataset
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from visitcast.data.dataset import Dataset, select_users
from visitcast.data.protocol import split
from visitcast.errors import InputError
from visitcast.features import encoding
from visitcast.features.day_statistics import merge, summarise
from visitcast.features.definition import COLUMNS, HISTORY, TARGET, Block, Days
from visitcast.features.histograms import decayed_histograms
from visitcast.features.pipeline import FeaturePipeline

TRAINING = made_dataset(users=60, seed=99)
STARTS = split(TRAINING).validation_starts
ENCODING = FeaturePipeline(STARTS).fit(TRAINING).encoding_
SCALING_TOLERANCE = 1e-12


def counterpart(block: Block) -> object:
    """The transformer of scikit-learn that does what a block's encoder does."""
    size = len(block.encoder.parts)

    def circle(frame: pd.DataFrame) -> np.ndarray:
        angle = 2 * np.pi * frame.to_numpy() / {"month": 12}.get(block.columns[0], 24)
        return np.concatenate([np.sin(angle), np.cos(angle)], axis=1)

    def flags(frame: pd.DataFrame) -> np.ndarray:
        return frame.to_numpy() // 2 ** np.arange(24) % 2

    return {
        "log_scaled": make_pipeline(FunctionTransformer(np.log1p), StandardScaler()),
        "scaled": StandardScaler(),
        "copied": "passthrough",
        "one_hot": OneHotEncoder(categories=[list(range(size))], handle_unknown="ignore", sparse_output=False),
        "circle": FunctionTransformer(circle),
        "hour_flags": FunctionTransformer(flags),
    }[block.encoder.name]


def frame_of(dataset: Dataset) -> pd.DataFrame:
    days = Days(dataset)
    return pd.DataFrame({name: column(days) for name, column in COLUMNS.items()}).astype("float64")


@pytest.mark.parametrize("blocks", [HISTORY, TARGET], ids=["history", "target"])
def test_features_are_those_that_scikit_learn_fits_and_transforms(blocks: tuple[Block, ...]) -> None:
    judge = ColumnTransformer([(str(at), counterpart(block), list(block.columns)) for at, block in enumerate(blocks)])
    judge.fit(frame_of(TRAINING)[TRAINING.visit_date < STARTS])
    for dataset in (TRAINING, made_dataset(users=30, seed=5)):
        features = encoding.transform(ENCODING, dataset)
        expected = np.asarray(judge.transform(frame_of(dataset)), dtype=np.float64)
        found = features.history if blocks is HISTORY else features.target[:, : expected.shape[1]]
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@given(datasets(), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_the_scaling_is_that_of_scikit_learn(dataset: Dataset, later: int) -> None:
    """Also of columns that are constant, as most are with few visit days."""
    before = int(dataset.visit_date.min()) + 1 + later
    known = frame_of(dataset)[dataset.visit_date < before]
    fitted = FeaturePipeline(before).fit(dataset).encoding_
    for block in (*HISTORY, *TARGET):
        if block.encoder.scaled:
            values = known[list(block.columns)]
            judge = StandardScaler().fit(np.log1p(values) if block.encoder.name == "log_scaled" else values)
            for name, mean, deviation in zip(block.names, judge.mean_, judge.scale_, strict=True):
                assert fitted.scaling[name] == pytest.approx((mean, deviation), rel=SCALING_TOLERANCE)


@given(st.lists(st.integers(0, 3), min_size=TRAINING.users, max_size=TRAINING.users))
@settings(max_examples=15, deadline=None)
def test_a_fit_on_parts_is_the_fit_on_the_whole(part_of_user: list[int]) -> None:
    parts = [select_users(TRAINING, np.flatnonzero(np.array(part_of_user) == part)) for part in range(4)]
    fitted = FeaturePipeline(STARTS).fit_statistics(merge([summarise(part) for part in parts])).encoding_
    for name, moments in ENCODING.scaling.items():
        assert fitted.scaling[name] == pytest.approx(moments, rel=SCALING_TOLERANCE)
    np.testing.assert_array_equal(fitted.first_hour_shares, ENCODING.first_hour_shares)
    np.testing.assert_array_equal(fitted.visited_shares, ENCODING.visited_shares)


def test_a_constant_column_keeps_its_scale() -> None:
    flat = changed(TRAINING, total_page_views=np.full_like(TRAINING.total_page_views, 7))
    fitted = FeaturePipeline(STARTS).fit(flat).encoding_
    assert fitted.scaling["log_scaled__total_page_views"] == pytest.approx((np.log(8), 1), rel=1e-12)


@given(datasets(), st.data())
@settings(max_examples=25, deadline=None)
def test_some_rows_have_the_bits_that_they_have_among_all(dataset: Dataset, data: st.DataObject) -> None:
    rows = np.array(data.draw(st.lists(st.integers(0, dataset.visit_days - 1), min_size=1, max_size=20)))
    histograms = decayed_histograms(dataset)
    everything = encoding.transform(ENCODING, dataset, histograms)
    target, log_prior = encoding.target_features(ENCODING, dataset, rows, histograms[rows])
    np.testing.assert_array_equal(encoding.history_reader(ENCODING, dataset)(rows), everything.history[rows])
    np.testing.assert_array_equal(target, everything.target[rows])
    np.testing.assert_array_equal(log_prior, everything.log_prior[rows])


def test_json_keeps_every_bit() -> None:
    restored = encoding.from_json(json.loads(json.dumps(encoding.to_json(ENCODING))))
    for one, other in zip(
        vars(encoding.transform(restored, TRAINING)).values(),
        vars(encoding.transform(ENCODING, TRAINING)).values(),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("change", ["one more", "one less", "another order"])
def test_a_model_with_other_features_is_refused(change: str) -> None:
    content = encoding.to_json(ENCODING)
    names = content["history_features"]
    content["history_features"] = {
        "one more": [*names, "copied__shoe_size"],
        "one less": names[1:],
        "another order": names[::-1],
    }[change]
    with pytest.raises(InputError, match="trained on other features") as caught:
        encoding.from_json(content)
    assert {"one more": "shoe_size", "one less": names[0], "another order": "order"}[change] in str(caught.value)
