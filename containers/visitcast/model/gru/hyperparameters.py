"""Hyperparameters of the network and of its training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from visitcast.model.hyperparameters import Ranges, require_in_range

MANY_ROWS: Final = 100_000
LARGE_BATCH: Final = 2048
SMALL_BATCH: Final = 512
ENOUGH_STEPS: Final = 800
FEWEST_EPOCHS: Final = 8
MOST_EPOCHS: Final = 30

_RANGES: Final[Ranges] = {
    "epochs": (0, 1000),
    "units": (1, 1024),
    "batch_size": (0, 1_000_000),
    "learning_rate": (1e-6, 1.0),
    "dropout": (0.0, 0.9),
    "patience": (1, 1000),
    "seed": (0, 2**31 - 1),
    "max_seconds": (0, 5 * 24 * 3600),
}


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """Settings of the network; the defaults suit a machine with two cores.

    Attributes
    ----------
    epochs
        Upper bound of passes over the training rows; early stopping may end before it. 0 = by the number of rows.
    units
        Width of the GRU's state.
    batch_size
        Visit days of one gradient step, rounded down to whole lanes of 128 (at least one). 0 = by the number of rows.
    learning_rate
        Peak rate of AdamW.
    dropout
        Share of the inputs and activations dropped while training.
    patience
        Epochs without a better validation log loss before training stops.
    seed
        Seed of weights, dropout and the order of the batches.
    max_seconds
        No epoch starts that would probably end later than this many seconds after the first began; 0 = no limit.
    """

    epochs: int = 0
    units: int = 96
    batch_size: int = 0
    learning_rate: float = 2e-3
    dropout: float = 0.2
    patience: int = 3
    seed: int = 7
    max_seconds: float = 0.0

    def __post_init__(self) -> None:
        require_in_range(self, _RANGES)

    def for_rows(self, rows: int) -> Hyperparameters:
        """Choose what is left open by the number of training rows.

        A network that takes few steps learns nothing, so few rows are read more often and in smaller batches;
        docs/model.md has the measurements.
        """
        batch_size = self.batch_size or (LARGE_BATCH if rows >= MANY_ROWS else SMALL_BATCH)
        passes = -(-ENOUGH_STEPS * batch_size // max(rows, 1))
        epochs = self.epochs or min(max(passes, FEWEST_EPOCHS), MOST_EPOCHS)
        return replace(self, epochs=epochs, batch_size=batch_size)
