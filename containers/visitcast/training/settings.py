"""Settings of a training job, apart from those of its learner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from visitcast.data.protocol import MAX_FOLDS
from visitcast.errors import InputError
from visitcast.model.hyperparameters import Ranges, parse, require_in_range
from visitcast.model.learners import Hyperparameters

_RANGES: Final[Ranges] = {
    "fold": (0, MAX_FOLDS),
    "folds": (0, MAX_FOLDS),
    "max_training_users": (0, 2**31 - 1),
    "seed": (0, 2**31 - 1),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What to train on.

    Attributes
    ----------
    fold, folds
        Fold ``k`` of ``K`` trains on the rolling-origin split ``k``; fold 0 of 0 on the protocol's full split.
    max_training_users
        Users to learn from; if there are more, a sample of whole users. 0 = ``fitting.DEFAULT_MAX_TRAINING_USERS``.
    seed
        Seed of that sample; the learner uses the same seed.
    """

    fold: int = 0
    folds: int = 0
    max_training_users: int = 0
    seed: int = 7

    def __post_init__(self) -> None:
        require_in_range(self, _RANGES)
        if bool(self.fold) != bool(self.folds) or self.fold > self.folds:
            raise InputError(
                "Hyperparameters fold and folds do not fit together.",
                f"There is no fold {self.fold} of {self.folds}.",
                "Use fold 0 of folds 0 for the full split, or a fold between 1 and folds.",
            )


def parse_settings(values: Mapping[str, str]) -> tuple[Settings, Hyperparameters]:
    """Read the job's settings and the learner's from the texts of ``hyperparameters.json``.

    Raises
    ------
    InputError
        An unknown name, a text that is not a number of the wanted kind, or a value out of range.

    Examples
    --------
    >>> settings, hyperparameters = parse_settings({"units": "32", "seed": "3"})
    >>> hyperparameters.units, hyperparameters.seed, settings.seed
    (32, 3, 3)
    """
    settings, hyperparameters = parse(values, (Settings, Hyperparameters))
    return settings, hyperparameters
