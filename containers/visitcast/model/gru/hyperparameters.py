"""Hyperparameters of a training job: SageMaker passes every value as a string."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final

from visitcast.data.protocol import MAX_FOLDS
from visitcast.errors import InputError

TUNING_OBJECTIVE = "_tuning_objective_metric"
"""SageMaker adds it to the hyperparameters of every training job of a tuning job; it is none of ours."""

MANY_ROWS: Final = 100_000
LARGE_BATCH: Final = 2048
SMALL_BATCH: Final = 512
ENOUGH_STEPS: Final = 800
FEWEST_EPOCHS: Final = 8
MOST_EPOCHS: Final = 30

_REMEDY = "Correct Hyperparameters in the execution input."


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """Settings of one training job; the defaults suit a machine with two cores.

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
    fold, folds
        Fold ``k`` of ``K`` trains on the rolling-origin split ``k``; fold 0 of 0 on the protocol's full split.
    """

    epochs: int = 0
    units: int = 96
    batch_size: int = 0
    learning_rate: float = 2e-3
    dropout: float = 0.2
    patience: int = 3
    seed: int = 7
    max_seconds: float = 0.0
    fold: int = 0
    folds: int = 0

    def __post_init__(self) -> None:
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(
                    f"Hyperparameter {name} is out of range.", f"{value} is not in [{low}, {high}].", _REMEDY
                )
        if bool(self.fold) != bool(self.folds) or self.fold > self.folds:
            raise InputError(
                "Hyperparameters fold and folds do not fit together.",
                f"There is no fold {self.fold} of {self.folds}.",
                "Use fold 0 of folds 0 for the full split, or a fold between 1 and folds.",
            )

    def for_rows(self, rows: int) -> Hyperparameters:
        """Choose what is left open by the number of training rows.

        A network that takes few steps learns nothing, so few rows are read more often and in smaller batches;
        docs/model.md has the measurements.
        """
        batch_size = self.batch_size or (LARGE_BATCH if rows >= MANY_ROWS else SMALL_BATCH)
        passes = -(-ENOUGH_STEPS * batch_size // max(rows, 1))
        epochs = self.epochs or min(max(passes, FEWEST_EPOCHS), MOST_EPOCHS)
        return replace(self, epochs=epochs, batch_size=batch_size)

    def as_dict(self) -> dict[str, int | float]:
        """Return the settings by name, for the model's metadata."""
        return asdict(self)


# name, lowest, highest allowed value (both included)
_RANGES: tuple[tuple[str, float, float], ...] = (
    ("epochs", 0, 1000),
    ("units", 1, 1024),
    ("batch_size", 0, 1_000_000),
    ("learning_rate", 1e-6, 1.0),
    ("dropout", 0.0, 0.9),
    ("patience", 1, 1000),
    ("seed", 0, 2**31 - 1),
    ("max_seconds", 0, 5 * 24 * 3600),
    ("fold", 0, MAX_FOLDS),
    ("folds", 0, MAX_FOLDS),
)


def parse(values: Mapping[str, str]) -> Hyperparameters:
    """Read hyperparameters from the strings of ``hyperparameters.json``.

    Parameters
    ----------
    values : mapping
        Name to text; names that are left out keep their default.

    Raises
    ------
    InputError
        An unknown name, a text that is no number of the wanted kind, or a value out of range.

    Examples
    --------
    >>> parse({"units": "32", "learning_rate": "1e-3"}).units
    32
    """
    values = {name: text for name, text in values.items() if name != TUNING_OBJECTIVE}
    kinds = {name: type(value) for name, value in asdict(Hyperparameters()).items()}
    unknown = sorted(set(values) - set(kinds))
    if unknown:
        raise InputError(f"Unknown hyperparameter: {', '.join(unknown)}.", f"Known are {', '.join(kinds)}.", _REMEDY)
    parsed: dict[str, int | float] = {}
    for name, text in values.items():
        kind = kinds[name]
        try:
            parsed[name] = kind(str(text).strip())
        except ValueError:
            wanted = "a whole number" if kind is int else "a number"
            raise InputError(f"Hyperparameter {name} is not {wanted}.", f"It is {text!r}.", _REMEDY) from None
    return Hyperparameters(**parsed)  # type: ignore[arg-type]  # each value was parsed by its field's own type
