"""The input of training as a ``tf.data`` pipeline: the next batches are gathered while a step runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import tensorflow as tf

from training import network
from training.group import Group
from training.hyperparameters import Hyperparameters
from training.packing import LANE, Lanes, batches, lanes_per_batch
from visitcast.forecasting.rows import Rows
from visitcast.schema import HOURS

PREFETCHED_BATCHES: Final = 2


def feed(rows: Rows, lanes: Lanes, hyperparameters: Hyperparameters, epoch: int, group: Group) -> Any:
    """Batches of one epoch for one instance.

    All instances draw the same order and the same dropout masks for a batch of ``group.size * batch_size`` visit days,
    and each takes every ``group.size``-th of its lanes: so all take the same number of steps, and several instances
    compute what one with a batch as large as all of theirs does. The order depends on the epoch's number alone, so a
    resumed run repeats what an unbroken one does.

    Returns
    -------
    tf.data.Dataset
        Of dictionaries: float32 ``visit`` [T, B, F] of the visits before the targets, ``fresh`` [T, B, 1],
        ``target`` [T, B, G], ``log_prior`` [T, B, 24], ``wanted`` [T, B], ``masks`` (3 x [1, B, width]), and int32
        ``first_hour``, ``hourly_visits`` [T, B]. Time comes first: a step's lanes lie side by side.
    """
    size = lanes_per_batch(hyperparameters.batch_size)
    widths = network.mask_widths(rows.visit.shape[1], hyperparameters.units)

    def generate() -> Iterator[dict[str, Any]]:
        rng = np.random.default_rng((hyperparameters.seed, epoch))
        for batch in batches(lanes, group.size * size * LANE, rng):
            masks = network.dropout_masks(rng, group.size * size, widths, hyperparameters.dropout)
            mine = slice(group.rank, None, group.size)
            row = batch.rows[mine].T
            yield {
                "visit": rows.visit[row - 1],
                "fresh": batch.fresh[mine].T[..., None].astype(np.float32),
                "target": rows.target[row],
                "log_prior": rows.log_prior[row],
                "wanted": batch.wanted[mine].T.astype(np.float32),
                "masks": tuple(mask[:, mine] for mask in masks),
                "first_hour": rows.first_hour[row].astype(np.int32),
                "hourly_visits": rows.hourly_visits[row],
            }

    def floats(*shape: int) -> Any:
        return tf.TensorSpec(shape, tf.float32)

    signature = {
        "visit": floats(LANE, size, rows.visit.shape[1]),
        "fresh": floats(LANE, size, 1),
        "target": floats(LANE, size, rows.target.shape[1]),
        "log_prior": floats(LANE, size, HOURS),
        "wanted": floats(LANE, size),
        "masks": tuple(floats(1, size, width) for width in widths),
        "first_hour": tf.TensorSpec((LANE, size), tf.int32),
        "hourly_visits": tf.TensorSpec((LANE, size), tf.int32),
    }
    return tf.data.Dataset.from_generator(generate, output_signature=signature).prefetch(PREFETCHED_BATCHES)


def steps_per_epoch(lanes: Lanes, batch_size: int, group: Group) -> int:
    """Gradient steps of an epoch, for every instance the same."""
    return -(-len(lanes.rows) // (group.size * lanes_per_batch(batch_size)))
