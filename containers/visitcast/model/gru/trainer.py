"""Fits the network: early stopping on the validation log loss, checkpoints, deterministic for a seed."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import keras
import numpy as np

from visitcast.contract import progress
from visitcast.model.gru import checkpoint
from visitcast.model.gru.feed import feed, steps_per_epoch
from visitcast.model.gru.gradient_step import GradientStep
from visitcast.model.gru.group import Group
from visitcast.model.gru.hyperparameters import Hyperparameters
from visitcast.model.gru.network import Weights
from visitcast.model.gru.shards import Shards
from visitcast.model.gru.validation import Validation

WARM_UP_STEPS: Final = 50
SMALLEST_GAIN: Final = 1e-4


@dataclass(frozen=True, slots=True)
class Epoch:
    """One line of the learning curve; losses in nats."""

    epoch: int
    train_loss: float
    validation_log_loss: float
    learning_rate: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Fit:
    """The best weights on validation, and how training went.

    Attributes
    ----------
    weights : dict
        Arrays of the network.
    epochs : list of Epoch
        Learning curve, epochs before a resume included.
    hyperparameters : Hyperparameters
        The settings, with what was left open.
    labelled_visits_per_second : float
        Training rows seen per second of gradient steps.
    """

    weights: Weights
    epochs: list[Epoch]
    hyperparameters: Hyperparameters
    labelled_visits_per_second: float


def fit(
    shards: Shards,
    validation: Validation | None,
    hyperparameters: Hyperparameters,
    checkpoints: Path,
    group: Group | None = None,
) -> Fit:
    """Fit the network until the validation log loss stops falling.

    Parameters
    ----------
    shards : Shards
        Training rows.
    validation : Validation or None
        Validation rows; only the first instance needs them.
    hyperparameters : Hyperparameters
        Settings; the batch is that of one instance.
    checkpoints : Path
        Folder of checkpoints; training resumes from the latest that fits these settings and data.
    group : Group, optional
        Instances that train together, all with the same data and settings. The first validates, decides and writes
        checkpoints; the result of the others is of no use. Default: this instance alone.
    """
    group = group or Group()
    hyperparameters = hyperparameters.for_rows(shards.labelled // group.size)
    keras.utils.set_random_seed(hyperparameters.seed)
    step = GradientStep(shards.visit_width, shards.target_width, hyperparameters, group)
    best: Weights = step.averaged_weights()
    epochs: list[Epoch] = []
    rows = validation.rows if validation else np.empty(0, dtype=np.int64)
    fingerprint = checkpoint.fingerprint(hyperparameters, shards.digest, rows)
    saved = checkpoint.load(checkpoints, fingerprint) if group.leads else None
    if saved is not None:
        step.restore(saved.state)
        best, epochs = saved.best, [Epoch(**epoch) for epoch in saved.epochs]
        print(f"resumed after epoch {len(epochs)} from {checkpoints}", flush=True)
    step.restore(group.arrays_from_first(step.state()))

    steps = steps_per_epoch(shards, hyperparameters.batch_size, group)
    step_seconds, started = 0.0, time.monotonic()
    done = group.from_first(len(epochs))
    while not group.from_first(finished(epochs, hyperparameters, steps, time.monotonic() - started)):
        epoch_started = time.monotonic()
        losses, rate = [], 0.0
        for place, batch in enumerate(feed(shards, hyperparameters, done + 1, group)):
            rate = hyperparameters.learning_rate * rate_factor(done * steps + place, hyperparameters.epochs * steps)
            losses.append(step.take(batch, rate))
        done += 1
        step_seconds += time.monotonic() - epoch_started
        if validation is None:
            continue
        weights = step.averaged_weights()
        loss = validation.log_loss(weights)
        if loss <= min((epoch.validation_log_loss for epoch in epochs), default=np.inf):
            best = weights
        epochs.append(Epoch(done, float(np.mean(losses)), loss, rate, time.monotonic() - epoch_started))
        _report(epochs[-1], hyperparameters.epochs)
        checkpoint.save(
            checkpoints, checkpoint.Checkpoint(fingerprint, step.state(), best, [asdict(epoch) for epoch in epochs])
        )
    seen = (len(epochs) - (len(saved.epochs) if saved else 0)) * shards.labelled
    return Fit(best, epochs, hyperparameters, seen / step_seconds if step_seconds else 0.0)


def rate_factor(step: int, steps: int) -> float:
    """Share of the peak learning rate at a step: a linear warm-up, then half a cosine down to nothing.

    Loshchilov and Hutter 2017, arXiv:1608.03983.
    """
    warm_up = min(1.0, (step + 1) / min(WARM_UP_STEPS, steps))
    return warm_up * 0.5 * (1 + math.cos(math.pi * step / steps))


def finished(epochs: list[Epoch], hyperparameters: Hyperparameters, steps: int, elapsed: float) -> bool:
    """Tell whether training ends: last epoch, patience used up, or no time for an epoch like the last.

    Patience begins when the learning rate has warmed up; `steps` is the number of an epoch's.
    """
    warm = epochs[-(-WARM_UP_STEPS // steps) - 1 :]
    if len(epochs) >= hyperparameters.epochs or stale_epochs(warm) >= hyperparameters.patience:
        return True
    limit = hyperparameters.max_seconds
    return bool(epochs) and limit > 0 and elapsed + epochs[-1].seconds > limit


def stale_epochs(epochs: list[Epoch]) -> int:
    """Count the epochs since the validation log loss last fell by more than ``SMALLEST_GAIN``."""
    best, stale = np.inf, 0
    for epoch in epochs:
        if epoch.validation_log_loss < best - SMALLEST_GAIN:
            best, stale = epoch.validation_log_loss, 0
        else:
            stale += 1
    return stale


def _report(epoch: Epoch, epochs: int) -> None:
    # The template's MetricDefinitions match this line.
    print(
        f"epoch={epoch.epoch}/{epochs} train_loss={epoch.train_loss:.4f} "
        f"validation_log_loss={epoch.validation_log_loss:.4f} seconds={epoch.seconds:.1f}",
        flush=True,
    )
    progress(epoch.epoch / epochs, "fitting the network")
