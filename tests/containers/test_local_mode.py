"""The training image in the local mode of SageMaker's own SDK.

The SDK brings 120 packages, so it is none of the project's: SAGEMAKER_SDK_PYTHON names an interpreter that has it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from container_engine import Engine
from patience import patient

from visitcast.model import bundle

PROGRAM = Path(__file__).with_name("local_mode_training.py")
PYTHON = os.environ.get("SAGEMAKER_SDK_PYTHON", "")
pytestmark = pytest.mark.skipif(not PYTHON, reason="SAGEMAKER_SDK_PYTHON names no interpreter with sagemaker-train")


def train(image: str, dataset: Path, folder: Path, **hyperparameters: str) -> subprocess.CompletedProcess[str]:
    """Run a training in local mode to its end."""
    folder.mkdir()
    command = [PYTHON, str(PROGRAM), image, str(dataset), str(folder), json.dumps(hyperparameters)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=patient(500))


@pytest.fixture(scope="module")
def image(engine: Engine, training_image: str) -> Iterator[str]:
    """The training image with another user: the SDK removes what a container wrote, so it must be its own."""
    container, tag = engine.tell("create", training_image), f"{training_image}-local-mode"
    engine.tell("commit", "--change", f"USER {os.getuid()}", container, tag)
    engine.tell("rm", container)
    yield tag
    # The SDK leaves its containers behind.
    for left in engine.tell("ps", "--all", "--quiet", "--filter", f"ancestor={tag}").split():
        engine("rm", "--force", left)
    engine("rmi", tag)


def test_the_sdks_local_mode_trains_a_model(image: str, dataset: Path, tmp_path: Path) -> None:
    done = train(image, dataset, tmp_path / "good", epochs="1", units="8")
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.unpack_archive(tmp_path / "good/compressed_artifacts/model.tar.gz", tmp_path / "model")
    assert bundle.load(tmp_path / "model").metadata["trained_at"]


def test_the_sdks_local_mode_hears_of_a_failure(image: str, dataset: Path, tmp_path: Path) -> None:
    done = train(image, dataset, tmp_path / "bad", epoch="1")
    assert done.returncode != 0
    assert "Unknown hyperparameter: epoch." in done.stdout + done.stderr
