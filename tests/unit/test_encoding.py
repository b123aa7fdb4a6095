"""The exported numbers of the feature pipeline against the pipeline itself."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from made_visits import datasets, made_dataset
from sklearn.preprocessing import MinMaxScaler

from visitcast.data.dataset import Dataset
from visitcast.data.protocol import split
from visitcast.features import encoding
from visitcast.features import pipeline as features
from visitcast.features.histograms import decayed_histograms

TRAINING = made_dataset(users=60, seed=99)
PIPELINE = features.fit(TRAINING, before=split(TRAINING).validation_starts)
ENCODING = encoding.from_json(json.loads(json.dumps(encoding.to_json(features.export(PIPELINE)))))


@given(datasets())
@settings(max_examples=25, deadline=None)
def test_the_exported_pipeline_gives_the_pipelines_bits(dataset: Dataset) -> None:
    expected = features.transform(PIPELINE, dataset)
    rows = np.arange(dataset.visit_days)
    target, log_prior = encoding.target_features(ENCODING, dataset, rows, decayed_histograms(dataset))
    np.testing.assert_array_equal(encoding.history_reader(ENCODING, dataset)(rows), expected.history)
    np.testing.assert_array_equal(target, expected.target)
    np.testing.assert_array_equal(log_prior, expected.log_prior)


def test_some_rows_are_the_rows_of_all() -> None:
    rows = np.array([40, 3, 3, 17])
    read = encoding.history_reader(ENCODING, TRAINING)
    np.testing.assert_array_equal(read(rows), read(np.arange(TRAINING.visit_days))[rows])


def test_target_features_of_some_rows_are_those_of_all() -> None:
    rows = np.array([3, 17, 17, 40])
    histograms = decayed_histograms(TRAINING)
    everything = encoding.target_features(ENCODING, TRAINING, np.arange(TRAINING.visit_days), histograms)
    for some, every in zip(
        encoding.target_features(ENCODING, TRAINING, rows, histograms[rows]), everything, strict=True
    ):
        np.testing.assert_array_equal(some, every[rows])


def test_a_transformer_without_counterpart_is_refused() -> None:
    unknown = features.fit(TRAINING, before=split(TRAINING).validation_starts)
    name, _, names = unknown.target.transformers_[0]
    unknown.target.transformers_[0] = (name, MinMaxScaler(), names)
    with pytest.raises(TypeError, match="MinMaxScaler"):
        features.export(unknown)
