"""The batches of an epoch, gathered from the open block while the previous step runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import tensorflow as tf

from visitcast.data.schema import HOURS
from visitcast.features.definition import EVE_KNOWN
from visitcast.features.encoding import target_names
from visitcast.model.gru.blocks import OpenBlock, TrainingBlocks
from visitcast.model.gru.hyperparameters import Hyperparameters
from visitcast.model.gru.packing import LANE, Lanes, batches, lanes_per_batch

PREFETCHED_BATCHES: Final = 2
AS_SCHEDULED_SHARE: Final = 0.5
"""Share of the rows that are learnt as the schedule knows them, when the day before may not be over; the others as an
endpoint that is asked later."""

_EVE_KNOWN: Final = target_names().index(f"copied__{EVE_KNOWN}")


def feed(blocks: TrainingBlocks, hyperparameters: Hyperparameters, epoch: int) -> Any:
    """Return the batches of one epoch: blocks in random order, and the lanes of each in random order.

    The order depends on the seed and the epoch's number alone, so a resumed run repeats what an unbroken one does.

    Returns
    -------
    tf.data.Dataset
        Of dictionaries as :func:`batch_signature` describes them.
    """
    seed = hyperparameters.seed
    order = np.random.default_rng((seed, epoch)).permutation(len(blocks.lanes)).tolist()

    def gathered() -> Iterator[dict[str, Any]]:
        for number, block in _opened(blocks, order):
            rng = np.random.default_rng((seed, epoch, number))
            block_seed = tf.random.fold_in((seed, epoch), number)
            for position, lanes in enumerate(batches(blocks.lanes[number], hyperparameters.batch_size, rng)):
                yield {**_gather(block, lanes, rng), "mask_seed": tf.random.fold_in(block_seed, position)}

    signature = batch_signature(blocks.visit_width, blocks.target_width, hyperparameters)
    return tf.data.Dataset.from_generator(gathered, output_signature=signature).prefetch(PREFETCHED_BATCHES)


def _opened(blocks: TrainingBlocks, order: Sequence[int]) -> Iterator[tuple[int, OpenBlock]]:
    """Yield the blocks in this order, each opened in the background while the previous one is read."""
    with ThreadPoolExecutor(max_workers=1) as background:
        ahead: tuple[int, Future[OpenBlock]] | None = None
        for number in order:
            opening = background.submit(blocks.open, number)
            if ahead is not None:
                yield ahead[0], ahead[1].result()
            ahead = (number, opening)
        if ahead is not None:
            yield ahead[0], ahead[1].result()


def _gather(block: OpenBlock, lanes: Lanes, rng: np.random.Generator) -> dict[str, Any]:
    """Copy the rows of one batch out of a block. Time comes first: the lanes of a step lie side by side.

    Some rows, drawn anew in each epoch, are seen as by the schedule. The GRU does not read a day that is not over: the
    histograms and other features of the day to forecast have what is known of it, and reading it too changed nothing.
    """
    steps, wanted = lanes.rows.T, np.flatnonzero(lanes.wanted.T)
    row = steps.ravel()[wanted]
    target, log_prior = block.target[row], block.log_prior[row]
    scheduled = rng.random(len(row)) < AS_SCHEDULED_SHARE
    target[scheduled, _EVE_KNOWN] = block.eve_known[row[scheduled]]
    moved = np.flatnonzero(scheduled & (block.as_scheduled[row] >= 0))
    seen = block.as_scheduled[row[moved]]
    target[moved], log_prior[moved] = block.target_as_scheduled[seen], block.log_prior_as_scheduled[seen]
    # A row to learn from is never the first or second step of its piece.
    wanted[moved] -= len(lanes.rows)
    return {
        "visit": block.visit[steps - 1],
        "fresh": lanes.fresh.T[..., None].astype(np.float32),
        "wanted": wanted.astype(np.int32),
        "lane": (wanted % len(lanes.rows)).astype(np.int32),
        "target": target,
        "log_prior": log_prior,
        "first_hour": block.first_hour[row],
        "hourly_visits": block.hourly_visits[row],
    }


def batch_signature(visit_width: int, target_width: int, hyperparameters: Hyperparameters) -> dict[str, Any]:
    """Return the shapes and types of a batch of B lanes with T steps, of which W are to be forecast.

    W is left open, so that a step is traced once.

    Returns
    -------
    dict
        ``visit`` [T, B, F], the visits before the targets; ``fresh`` [T, B, 1], 1 where a sequence begins; ``wanted``
        [W], positions among the T * B steps of the days to forecast, and their ``lane`` [W]; of these days ``target``
        [W, G], ``log_prior`` [W, 24], ``first_hour`` [W] and the mask ``hourly_visits`` [W]; ``mask_seed`` [2] of the
        dropout masks.
    """
    size = lanes_per_batch(hyperparameters.batch_size)
    whole_numbers = tf.TensorSpec((None,), tf.int32)
    return {
        "visit": tf.TensorSpec((LANE, size, visit_width), tf.float32),
        "fresh": tf.TensorSpec((LANE, size, 1), tf.float32),
        "wanted": whole_numbers,
        "lane": whole_numbers,
        "target": tf.TensorSpec((None, target_width), tf.float32),
        "log_prior": tf.TensorSpec((None, HOURS), tf.float32),
        "first_hour": whole_numbers,
        "hourly_visits": whole_numbers,
        "mask_seed": tf.TensorSpec((2,), tf.int32),
    }


def steps_per_epoch(blocks: TrainingBlocks, batch_size: int) -> int:
    """Count the gradient steps of an epoch."""
    return sum(-(-len(lanes.rows) // lanes_per_batch(batch_size)) for lanes in blocks.lanes)
