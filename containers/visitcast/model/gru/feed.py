"""The input of training as a ``tf.data`` pipeline over shards.

The next shard is read and the next batches are gathered while a step runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import tensorflow as tf

from visitcast.data.schema import HOURS
from visitcast.model.gru import network
from visitcast.model.gru.group import Group
from visitcast.model.gru.hyperparameters import Hyperparameters
from visitcast.model.gru.packing import LANE, batches, lanes_per_batch
from visitcast.model.gru.shards import Shards

PREFETCHED_SHARDS: Final = 1
PREFETCHED_BATCHES: Final = 2
_SHARD_AND_BATCHES: Final = (
    *(tf.float32, tf.float32, tf.float32, tf.int32, tf.int32),  # the open shard's arrays
    *(tf.int32, tf.bool, tf.bool),  # rows, wanted and fresh of its batches
)


def feed(shards: Shards, hyperparameters: Hyperparameters, epoch: int, group: Group) -> Any:
    """Batches of one epoch for one instance: shards in random order, the lanes of each in random order.

    All instances draw the same order and the same dropout masks for a batch of ``group.size * batch_size`` visit days,
    and each takes every ``group.size``-th of its lanes: so all take the same number of steps, and several instances
    compute what one with a batch as large as all of theirs does. The order depends on the epoch's number alone, so a
    resumed run repeats what an unbroken one does.

    Returns
    -------
    tf.data.Dataset
        Of dictionaries: float32 ``visit`` [T, B, F] of the visits before the targets, ``fresh`` [T, B, 1] and ``masks``
        (3 x [1, B, width]); int32 ``wanted`` [W], the places among the T * B steps whose forecasts count, and
        for these float32 ``target`` [W, G], ``log_prior`` [W, 24], int32 ``first_hour`` and ``hourly_visits`` [W].
        Time comes first: a step's lanes lie side by side.
    """
    size = lanes_per_batch(hyperparameters.batch_size)
    together = group.size * size
    seed, rank = hyperparameters.seed, group.rank
    widths = network.mask_widths(shards.visit_width, hyperparameters.units)

    def open_shard(number: Any) -> tuple[Any, ...]:
        shard = shards.open(int(number))
        rng = np.random.default_rng((seed, epoch, int(number)))
        drawn = list(batches(shard.lanes, together * LANE, rng))
        mine = slice(rank, None, group.size)
        lanes = (np.stack([getattr(batch, name)[mine].T for batch in drawn]) for name in ("rows", "wanted", "fresh"))
        return (shard.visit, shard.target, shard.log_prior, shard.first_hour, shard.hourly_visits, *lanes)

    def gather(number: Any, arrays: tuple[Any, ...]) -> Callable[..., dict[str, Any]]:
        visit, target, log_prior, first_hour, hourly_visits = arrays

        def one_batch(place: Any, rows: Any, wanted: Any, fresh: Any) -> dict[str, Any]:
            at = tf.where(tf.reshape(wanted, (-1,)))[:, 0]
            row = tf.gather(tf.reshape(rows, (-1,)), at)
            mask_seed = tf.random.fold_in(tf.random.fold_in((seed, epoch), number), place)
            masks = network.dropout_masks(mask_seed, together, widths, hyperparameters.dropout)
            return {
                "visit": tf.gather(visit, rows - 1),
                "fresh": tf.cast(fresh[..., None], tf.float32),
                "masks": tuple(mask[:, rank :: group.size] for mask in masks),
                "wanted": tf.cast(at, tf.int32),
                "lane": tf.cast(at % size, tf.int32),
                "target": tf.gather(target, row),
                "log_prior": tf.gather(log_prior, row),
                "first_hour": tf.gather(first_hour, row),
                "hourly_visits": tf.gather(hourly_visits, row),
            }

        return one_batch

    shapes = (
        *((None, shards.visit_width), (None, shards.target_width), (None, HOURS), (None,), (None,)),
        *((None, LANE, size),) * 3,
    )

    def opened(number: Any) -> tuple[Any, ...]:
        arrays = tf.numpy_function(open_shard, [number], _SHARD_AND_BATCHES)
        for array, shape in zip(arrays, shapes, strict=True):
            array.set_shape(shape)
        return (number, *arrays)

    def batches_of(number: Any, *arrays: Any) -> Any:
        *rows_of, rows, wanted, fresh = arrays
        lanes = tf.data.Dataset.from_tensor_slices((tf.range(tf.shape(rows)[0]), rows, wanted, fresh))
        return lanes.map(gather(number, tuple(rows_of)))

    order = np.random.default_rng((seed, epoch)).permutation(len(shards.lanes)).astype(np.int32)
    open_shards = tf.data.Dataset.from_tensor_slices(order).map(opened).prefetch(PREFETCHED_SHARDS)
    return open_shards.flat_map(batches_of).prefetch(PREFETCHED_BATCHES)


def batch_signature(visit_width: int, target_width: int, hyperparameters: Hyperparameters) -> dict[str, Any]:
    """Shapes and types of :func:`feed`'s batches; W is open, so that a step is traced once."""
    size = lanes_per_batch(hyperparameters.batch_size)

    def floats(*shape: int | None) -> Any:
        return tf.TensorSpec(shape, tf.float32)

    whole_numbers = tf.TensorSpec((None,), tf.int32)
    return {
        "visit": floats(LANE, size, visit_width),
        "fresh": floats(LANE, size, 1),
        "masks": tuple(floats(1, size, width) for width in network.mask_widths(visit_width, hyperparameters.units)),
        "wanted": whole_numbers,
        "lane": whole_numbers,
        "target": floats(None, target_width),
        "log_prior": floats(None, HOURS),
        "first_hour": whole_numbers,
        "hourly_visits": whole_numbers,
    }


def steps_per_epoch(shards: Shards, batch_size: int, group: Group) -> int:
    """Gradient steps of an epoch, for every instance the same."""
    return sum(-(-lanes // (group.size * lanes_per_batch(batch_size))) for lanes in shards.lanes)
