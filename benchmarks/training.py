"""Training speed: our step beside code like the article's, and beside the limit set by the machine's matrix products.

Both train on the same random visit days (speed does not depend on their content), with the same features and the same
width of the GRU, one after the other in one process with the same threads.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.pipeline import Figure
from visitcast.data import schema
from visitcast.data.dataset import Dataset, of_columns
from visitcast.data.protocol import eligible_rows
from visitcast.data.schema import HOURS
from visitcast.features.histogram_features import HOUR_BLOCKS
from visitcast.features.pipeline import FeaturePipeline
from visitcast.model.gru.sequences import CONTEXT

USERS = 1500
QUICK_USERS = 60
WINDOW = CONTEXT
"""Visits in a copied window."""
ARTICLE_BATCH = 256
ARTICLE_ROWS = 8 * ARTICLE_BATCH
SGEMM_SIZE = 2048
REPEATS = 5
PARTS_OF_A_STEP = 3
"""A product whose inputs both need a gradient costs two more products of its size in the backward pass."""


def measure(quick: bool = False) -> list[Figure]:
    """Measure everything; `quick` takes few users, to check that it runs."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from visitcast.model import tensorflow_threads
    from visitcast.model.gru.blocks import TrainingBlocks
    from visitcast.model.gru.hyperparameters import MANY_ROWS, Hyperparameters

    tensorflow_threads.bound()
    dataset = made_visit_days(QUICK_USERS if quick else USERS)
    after = int(dataset.visit_date.max()) + 1
    blocks = TrainingBlocks(dataset, eligible_rows(dataset), FeaturePipeline(after).fit(dataset).encoding_)
    settings = Hyperparameters().for_rows(MANY_ROWS)

    ours = our_rate(blocks, settings)
    labelled = eligible_rows(dataset)[: ARTICLE_BATCH if quick else ARTICLE_ROWS]
    article = article_rate(blocks.open(0), labelled, settings.units)
    sgemm = sgemm_rate(256 if quick else SGEMM_SIZE)
    limit = sgemm / gemm_operations(blocks.visit_width, blocks.target_width, settings.units)
    subject = "training"
    return [
        Figure(subject, "labelled visits, this step", ours, "1/s"),
        Figure(subject, "labelled visits, copied windows, Keras fit", article, "1/s"),
        Figure(subject, "this step over copied windows", ours / article, "x", ">= 100"),
        Figure(subject, "matrix products (sgemm)", sgemm / 1e9, "GFLOP/s"),
        Figure(subject, "labelled visits, limit by sgemm", limit, "1/s"),
        Figure(subject, "this step, share of the limit", 100 * ours / limit, "%", ">= 30"),
    ]


def made_visit_days(users: int, seed: int = 0) -> Dataset:
    """Make random visit days; most users have few of them, some have hundreds."""
    rng = np.random.default_rng(seed)
    lengths = np.minimum(5 + rng.pareto(1.0, users) * 10, 2000).astype(np.int64)
    days = int(lengths.sum())
    first, last = np.sort(rng.integers(0, HOURS, (2, days)), axis=0)
    views = rng.integers(0, 9, (days, len(schema.PAGE_VIEWS_BY_TYPE)))
    gaps = rng.integers(1, 8, days)
    ends = np.cumsum(lengths)
    dates = np.cumsum(gaps) - np.repeat(np.cumsum(gaps)[ends - lengths], lengths)
    columns = {
        **{column.name: np.zeros(days) for column in schema.DAY_COLUMNS},
        schema.VISIT_DATE: 15_000 + dates,
        schema.FIRST_VISIT_HOUR: first,
        schema.LAST_VISIT_HOUR: last,
        schema.HOURLY_VISITS: (1 << first) | (1 << last),
        schema.TOTAL_TIME_SPENT_S: rng.integers(0, 5000, days),
        schema.TOTAL_PAGE_VIEWS: views.sum(axis=1),
        **dict(zip(schema.PAGE_VIEWS_BY_TYPE, views.T, strict=True)),
        schema.PLATFORM: rng.integers(0, len(schema.PLATFORMS), days),
    }
    return of_columns(np.array([f"user-{number:06d}" for number in range(users)]), np.append(0, ends), columns)


def our_rate(blocks: Any, settings: Any) -> float:
    """Measure labelled visits per second over an epoch, with the input pipeline and without compilation."""
    from visitcast.model.gru.feed import feed
    from visitcast.model.gru.gradient_step import GradientStep

    step = GradientStep(blocks.visit_width, blocks.target_width, settings)
    for batch in feed(blocks, settings, 1).take(2):
        step.take(batch, settings.learning_rate)

    def epoch() -> None:
        for batch in feed(blocks, settings, 2):
            step.take(batch, settings.learning_rate)

    return float(blocks.labelled) / best_seconds(epoch, repeats=2)


def article_rate(rows: Any, labelled: NDArray[np.int64], units: int) -> float:
    """Measure labelled visits per second of ``fit`` on a copied window of ``WINDOW`` visits for every label."""
    import keras

    from visitcast.model.gru.network import HIDDEN_UNITS

    visits = keras.Input((WINDOW, rows.visit.shape[1]))
    target = keras.Input((rows.target.shape[1],))
    state = keras.layers.GRU(units)(visits)
    hidden = keras.layers.Dense(HIDDEN_UNITS, activation="relu")(keras.layers.Concatenate()([state, target]))
    model = keras.Model([visits, target], keras.layers.Dense(HOURS, activation="softmax")(hidden))
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    inputs = [
        rows.visit[np.maximum(labelled[:, None] - WINDOW + np.arange(WINDOW), 0)],
        rows.target[labelled],
    ]
    hours = rows.first_hour[labelled].astype(np.int32)

    def fit() -> None:
        model.fit(inputs, hours, batch_size=ARTICLE_BATCH, epochs=1, verbose=0)

    fit()  # traces the step
    return len(labelled) / best_seconds(fit, repeats=2)


def sgemm_rate(size: int) -> float:
    """Measure operations per second of TensorFlow's float32 matrix product, with the threads of training."""
    import tensorflow as tf

    matrix = tf.random.stateless_normal((size, size), seed=(0, 0))
    tf.matmul(matrix, matrix).numpy()
    return float(2 * size**3 / best_seconds(lambda: tf.matmul(matrix, matrix).numpy(), REPEATS))


def gemm_operations(visit_width: int, target_width: int, units: int) -> float:
    """Count the operations of the matrix products for a labelled visit, forward and backward.

    Context and padding do not count: time spent on them lowers the share. Convolutions count as products. The
    network's inputs need no gradient.
    """
    from visitcast.model.gru.hour_head import FILTERS, REACH_FIRST, REACH_SECOND
    from visitcast.model.gru.network import HIDDEN_UNITS

    first, second = 2 * REACH_FIRST + 1, 2 * REACH_SECOND + 1
    on_inputs = 3 * units * visit_width + HIDDEN_UNITS * target_width + HOURS * first * HOUR_BLOCKS * FILTERS
    on_activations = (
        3 * units * units
        + HIDDEN_UNITS * units
        + HIDDEN_UNITS * (2 * HOURS + FILTERS)
        + HOURS * (second * FILTERS * FILTERS + 2 * FILTERS)
    )
    return 2.0 * ((PARTS_OF_A_STEP - 1) * on_inputs + PARTS_OF_A_STEP * on_activations)


def best_seconds(work: Callable[[], Any], repeats: int) -> float:
    """Return the shortest time of some runs: other work on the machine only adds to it."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)
