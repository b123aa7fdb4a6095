"""The folder that SageMaker mounts as ``/opt/ml`` for a training job."""

from __future__ import annotations

import json
import shutil
from pathlib import Path


def training_folder(root: Path, dataset: Path, **hyperparameters: str) -> Path:
    """Lay out a dataset and hyperparameters below a folder; return the folder."""
    shutil.copytree(dataset, root / "input/data/dataset")
    (root / "input/config").mkdir(parents=True)
    (root / "input/config/hyperparameters.json").write_text(json.dumps(hyperparameters))
    return root
