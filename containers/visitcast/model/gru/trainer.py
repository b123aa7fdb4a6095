"""Fit the network, with early stopping on the validation log loss and checkpoints; deterministic for a seed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import keras
import numpy as np
from numpy.typing import NDArray

from visitcast.contract import progress
from visitcast.model.gru import checkpoint
from visitcast.model.gru.blocks import TrainingBlocks
from visitcast.model.gru.feed import feed, steps_per_epoch
from visitcast.model.gru.gradient_step import GradientStep
from visitcast.model.gru.hyperparameters import Hyperparameters
from visitcast.model.gru.network import Weights

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
    """The weights with the lowest validation log loss, and the course of the training.

    Attributes
    ----------
    weights : dict
        Arrays by name.
    epochs : list of Epoch
        Learning curve, with the epochs before a resume.
    hyperparameters : Hyperparameters
        The settings, with the values chosen by the number of rows.
    labelled_visits_per_second : float
        Training rows per second of gradient steps.
    """

    weights: Weights
    epochs: list[Epoch]
    hyperparameters: Hyperparameters
    labelled_visits_per_second: float


def fit(
    blocks: TrainingBlocks,
    validation_log_loss: Callable[[Weights], float],
    validation: NDArray[np.int64],
    hyperparameters: Hyperparameters,
    checkpoints: Path | None = None,
) -> Fit:
    """Fit the network until the validation log loss stops falling.

    Parameters
    ----------
    blocks : TrainingBlocks
        Training rows.
    validation_log_loss : callable
        Returns the mean log loss (nats) that weights have on the validation rows.
    validation : int64 array [V]
        Validation rows; a checkpoint with other validation rows is not continued.
    hyperparameters : Hyperparameters
        Settings.
    checkpoints : Path, optional
        Folder of checkpoints; training resumes from the latest that fits these settings and data. Default: none are
        read or written.
    """
    hyperparameters = hyperparameters.for_rows(blocks.labelled)
    keras.utils.set_random_seed(hyperparameters.seed)
    step = GradientStep(blocks.visit_width, blocks.target_width, hyperparameters)
    best: Weights = step.averaged_weights()
    epochs: list[Epoch] = []
    fingerprint = checkpoint.fingerprint(hyperparameters, blocks.digest, validation)
    saved = checkpoint.load(checkpoints, fingerprint) if checkpoints else None
    if saved is not None:
        step.restore(saved.state)
        best, epochs = saved.best, [Epoch(**epoch) for epoch in saved.epochs]
        print(f"resumed after epoch {len(epochs)} from {checkpoints}", flush=True)

    steps = steps_per_epoch(blocks, hyperparameters.batch_size)
    resumed, step_seconds, started = len(epochs), 0.0, time.monotonic()
    while not finished(epochs, hyperparameters, steps, time.monotonic() - started):
        epoch_started = time.monotonic()
        losses, rate, taken = [], 0.0, len(epochs) * steps
        for position, batch in enumerate(feed(blocks, hyperparameters, len(epochs) + 1)):
            rate = hyperparameters.learning_rate * rate_factor(taken + position, hyperparameters.epochs * steps)
            losses.append(step.take(batch, rate))
        step_seconds += time.monotonic() - epoch_started
        weights = step.averaged_weights()
        loss = validation_log_loss(weights)
        if loss <= min((epoch.validation_log_loss for epoch in epochs), default=np.inf):
            best = weights
        seconds = time.monotonic() - epoch_started
        epochs.append(Epoch(len(epochs) + 1, float(np.mean(losses)), loss, rate, seconds))
        if checkpoints:
            learning_curve = [asdict(epoch) for epoch in epochs]
            checkpoint.save(checkpoints, checkpoint.Checkpoint(fingerprint, step.state(), best, learning_curve))
        # After the checkpoint: a job that is interrupted as soon as an epoch is reported has saved it.
        _report(epochs[-1], hyperparameters.epochs)
    seen = (len(epochs) - resumed) * blocks.labelled
    return Fit(best, epochs, hyperparameters, seen / step_seconds if step_seconds else 0.0)


def rate_factor(step: int, steps: int) -> float:
    """Return the share of the peak learning rate at a step: a linear warm-up, then half a cosine down to zero.

    Loshchilov and Hutter 2017, arXiv:1608.03983.
    """
    warm_up = min(1.0, (step + 1) / min(WARM_UP_STEPS, steps))
    return warm_up * 0.5 * (1 + math.cos(math.pi * step / steps))


def finished(epochs: list[Epoch], hyperparameters: Hyperparameters, steps: int, elapsed: float) -> bool:
    """Return whether training ends: the last epoch, no progress for too long, or no time for another epoch.

    Epochs without progress count from the end of the warm-up on; `steps` is the number of steps of an epoch.
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
