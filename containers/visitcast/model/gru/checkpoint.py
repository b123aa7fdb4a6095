"""Checkpoints of the training, so that an interruption of a spot instance costs at most one epoch.

SageMaker copies ``/opt/ml/checkpoints`` to S3 while the job runs and back before it starts again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visitcast.model.gru.hyperparameters import Hyperparameters

FILE = "checkpoint.npz"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """State of the training after an epoch.

    Attributes
    ----------
    fingerprint : str
        Of the settings and data that the checkpoint belongs to.
    state : list of arrays
        Variables of the gradient step.
    best : dict
        Weights with the lowest validation log loss so far.
    epochs : list of dict
        Learning curve so far.
    """

    fingerprint: str
    state: list[NDArray[Any]]
    best: dict[str, NDArray[np.float32]]
    epochs: list[dict[str, Any]]


def fingerprint(hyperparameters: Hyperparameters, training_rows: str, validation: NDArray[np.int64]) -> str:
    """Return a digest of everything that must be equal for a checkpoint to be continued; the number of epochs may grow.

    Parameters
    ----------
    hyperparameters : Hyperparameters
        Settings.
    training_rows : str
        ``TrainingBlocks.digest``.
    validation : int64 array [V]
        Validation rows.
    """
    settings = {name: value for name, value in asdict(hyperparameters).items() if name not in ("epochs", "max_seconds")}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    digest.update(training_rows.encode())
    digest.update(np.ascontiguousarray(validation).tobytes())
    return digest.hexdigest()


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint in a folder; an interruption leaves the old one intact."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{FILE}.partial"
    arrays: dict[str, Any] = {f"state/{number:04d}": value for number, value in enumerate(checkpoint.state)}
    arrays |= {f"best/{name}": value for name, value in checkpoint.best.items()}
    with temporary.open("wb") as file:
        np.savez(file, fingerprint=checkpoint.fingerprint, epochs=json.dumps(checkpoint.epochs), **arrays)
    temporary.replace(folder / FILE)


def load(folder: Path, fingerprint: str) -> Checkpoint | None:
    """Read the checkpoint in a folder; None if there is none, or if it belongs to other settings or data."""
    file = folder / FILE
    if not file.is_file():
        return None
    with np.load(file, allow_pickle=False) as archive:
        if str(archive["fingerprint"]) != fingerprint:
            print(f"ignoring {file}: it belongs to other settings or data", flush=True)
            return None
        state = [archive[name] for name in sorted(archive.files) if name.startswith("state/")]
        best = {name.removeprefix("best/"): archive[name] for name in archive.files if name.startswith("best/")}
        return Checkpoint(fingerprint, state, best, json.loads(str(archive["epochs"])))
