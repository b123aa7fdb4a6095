"""Cross-validation: the scores that each fold's training job writes, and their mean and spread.

SageMaker packs ``/opt/ml/output/data`` into ``output.tar.gz`` beside the job's ``model.tar.gz``. The evaluation job
gets the folder of all folds' jobs and reads ``fold.json`` from each of these archives.
"""

from __future__ import annotations

import json
import tarfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from visitcast.data.protocol import Split
from visitcast.errors import InputError
from visitcast.metrics import METRICS, Scores

FOLD_FILE: Final = "fold.json"
ARCHIVE: Final = "output.tar.gz"


@dataclass(frozen=True)
class Fold:
    """Scores of a fold on its own test rows.

    Attributes
    ----------
    fold, folds : int
        Number of the fold, and of all folds.
    cut_offs : dict
        ``validation_starts``, ``test_starts``, ``test_ends`` (``YYYY-MM-DD``).
    rows : dict
        Rows in ``train``, ``validation`` and ``test``.
    model : Scores
        The model's metrics.
    baselines : dict
        Metrics of the histogram baselines on the same rows.
    """

    fold: int
    folds: int
    cut_offs: dict[str, str]
    rows: dict[str, int]
    model: Scores
    baselines: dict[str, Scores]


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation over the folds, per metric; None if unknown or if there is only one fold."""

    mean: Scores
    std: Scores


@dataclass(frozen=True)
class CrossValidation:
    """All folds, with means and standard deviations.

    Attributes
    ----------
    folds : list of Fold
        In order.
    mean, std : Scores
        Of the model.
    baselines : dict
        Of each baseline.
    differences : dict
        Mean and deviation of model minus baseline, computed fold by fold.
    """

    folds: list[Fold]
    mean: Scores
    std: Scores
    baselines: dict[str, Spread]
    differences: dict[str, Spread]


def describe(fold: int, folds: int, parts: Split, model: Scores, baselines: dict[str, Scores]) -> Fold:
    """Describe a fold: its scores, dates and sizes."""
    days = {
        "validation_starts": parts.validation_starts,
        "test_starts": parts.test_starts,
        "test_ends": parts.test_ends,
    }
    return Fold(
        fold=fold,
        folds=folds,
        cut_offs={name: str(np.datetime64(day, "D")) for name, day in days.items() if day is not None},
        rows={"train": len(parts.train), "validation": len(parts.validation), "test": len(parts.test)},
        model=model,
        baselines=baselines,
    )


def write_fold(folder: Path, fold: Fold) -> None:
    """Write ``fold.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FOLD_FILE).write_text(json.dumps(asdict(fold), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read_folds(folder: Path, wanted: int) -> list[Fold]:
    """Read the scores that the folds' jobs wrote below a folder, in the folds' order.

    A retried job leaves two archives of a fold. Training is deterministic, so either may be read.

    Raises
    ------
    InputError
        An archive cannot be read, or one of the `wanted` folds is missing.
    """
    found = {}
    for archive in sorted(folder.rglob(ARCHIVE)):
        content = _member(archive, FOLD_FILE)
        if content is not None and content["folds"] == wanted:
            found[content["fold"]] = Fold(**content)
    missing = sorted(set(range(1, wanted + 1)) - set(found))
    if missing:
        raise InputError(
            "Cross-validation is not complete.",
            f"{folder} holds no {FOLD_FILE} of fold {', '.join(map(str, missing))} of {wanted}.",
            "Check that the folds' training jobs succeeded and that their output is in the channel folds.",
        )
    return [found[number] for number in sorted(found)]


def _member(archive: Path, name: str) -> dict[str, Any] | None:
    """Parse a JSON file of an archive; None if the archive does not hold it."""
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                stream = tar.extractfile(member) if Path(member.name).name == name else None
                if stream is not None:
                    content: dict[str, Any] = json.load(stream)
                    return content
    except (OSError, tarfile.TarError, EOFError, ValueError) as error:
        raise InputError(
            "A fold's output cannot be read.", f"{archive}: {error}.", "Check that the fold's training job succeeded."
        ) from error
    return None


def aggregate(folds: list[Fold]) -> CrossValidation:
    """Compute means and standard deviations over the folds; each fold counts alike, however many rows it has."""
    model = spread([fold.model for fold in folds])
    names = folds[0].baselines
    return CrossValidation(
        folds=folds,
        mean=model.mean,
        std=model.std,
        baselines={name: spread([fold.baselines[name] for fold in folds]) for name in names},
        differences={name: spread([_difference(fold.model, fold.baselines[name]) for fold in folds]) for name in names},
    )


def spread(scores: list[Scores]) -> Spread:
    """Compute the mean and the sample standard deviation of each metric."""
    columns = {metric: [one[metric] for one in scores] for metric in METRICS}
    known = {metric: [value for value in values if value is not None] for metric, values in columns.items()}
    return Spread(
        mean={metric: float(np.mean(values)) if values else None for metric, values in known.items()},
        std={metric: float(np.std(values, ddof=1)) if len(values) > 1 else None for metric, values in known.items()},
    )


def _difference(model: Scores, baseline: Scores) -> Scores:
    return {
        metric: None if (own := model[metric]) is None or (other := baseline[metric]) is None else own - other
        for metric in METRICS
    }
