"""A model bundle for benchmarks and tests: features and histogram fitted on visits, a network with random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from visitcast.data.dataset import Dataset
from visitcast.data.protocol import split
from visitcast.data.schedule import HISTORY_VISIT_DAYS
from visitcast.features.encoding import history_names, target_names
from visitcast.features.histograms import histograms_before
from visitcast.features.pipeline import FeaturePipeline
from visitcast.forecasting.probing import with_probe
from visitcast.model import bundle, visit_probability
from visitcast.model.baselines import tuned_histogram
from visitcast.model.calibration import Calibration
from visitcast.model.gru import inference
from visitcast.model.gru.scorer import GruScorer
from visitcast.model.mixture import HISTORY_STARTS


def write_model(folder: Path, dataset: Dataset, units: int = 16) -> bundle.Bundle:
    """Write a bundle into a new folder as a training job does; return it."""
    parts = split(dataset)
    pipeline = FeaturePipeline(parts.validation_starts).fit(dataset)
    half = (0.5,) * len(HISTORY_STARTS)
    fitted = with_probe(
        bundle.Bundle(
            scorer=GruScorer(inference.load(_random_network(units)), pipeline.encoding_),
            histogram=tuned_histogram.fit(dataset, parts, histograms_before(dataset, parts.validation)),
            eve_over=bundle.Blend(half, Calibration(temperature=1.1, later_visit_shift=-0.1)),
            eve_unfinished=bundle.Blend(half, Calibration(temperature=1.2, later_visit_shift=-0.2)),
            visit_probability=visit_probability.fit(dataset, parts, HISTORY_VISIT_DAYS)[0],
            metadata={"trained_at": "2026-11-23T12:00:00+00:00"},
            pipeline=pipeline,
        )
    )
    folder.mkdir(parents=True)
    bundle.save(folder, fitted)
    return fitted


def _random_network(units: int) -> bytes:
    """Return the ONNX model of a network with random weights, even for those that training starts at zero."""
    # Imported here: TensorFlow takes seconds to load, and what imports this module does not always make a model.
    from visitcast.model.gru import network
    from visitcast.model.gru.onnx_graph import to_onnx

    model = network.build(len(history_names()), len(target_names()), units)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(0, 0.1, weight.shape) for weight in model.get_weights()])
    arrays = (variable.numpy() for variable in model.trainable_variables)
    return to_onnx(dict(zip(network.weight_names(model), arrays, strict=True)))
