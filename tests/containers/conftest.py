"""Fixtures of the tests with real images: the engine, the images, and a model made by containers alone."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from container_engine import Engine, build
from forecast_requests import VISITS
from made_visits import AS_OF, write_csv
from training_folder import training_folder

SIZES = pytest.StashKey[dict[str, int]]()


def _works(command: str) -> bool:
    # A client without its daemon is installed, but does not work.
    return shutil.which(command) is not None and Engine(command)("info").returncode == 0


@pytest.fixture(scope="session")
def engine(pytestconfig: pytest.Config) -> Iterator[Engine]:
    """The engine that CONTAINER names, else the first that works here; its containers are removed afterwards."""
    command = os.environ.get("CONTAINER") or next(filter(_works, ("docker", "podman")), None)
    if command is None:
        pytest.fail("These tests build and run images: install Docker or podman, or name another engine in CONTAINER.")
    found = Engine(command, sizes=pytestconfig.stash.setdefault(SIZES, {}))
    yield found
    for name in found.started:
        found("rm", "--force", name)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print how large the images are."""
    for name, size in sorted(config.stash.get(SIZES, {}).items()):
        terminalreporter.write_line(f"image {name}: {size / 1e6:,.0f} MB")


@pytest.fixture(scope="session")
def preprocessing_image(engine: Engine) -> str:
    """Tag of the preprocessing image."""
    return build(engine, "preprocessing")


@pytest.fixture(scope="session")
def training_image(engine: Engine) -> str:
    """Tag of the training image."""
    return build(engine, "training")


@pytest.fixture(scope="session")
def serving_image(engine: Engine) -> str:
    """Tag of the serving image."""
    return build(engine, "serving")


@pytest.fixture(scope="session")
def sending_image(engine: Engine) -> str:
    """Tag of the sending image."""
    return build(engine, "sending")


@pytest.fixture(scope="session")
def dataset(engine: Engine, preprocessing_image: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dataset folder that the preprocessing container wrote."""
    ml = tmp_path_factory.mktemp("preprocessing")
    write_csv(ml / "processing/input/visits/visits.csv", VISITS)
    code, printed = engine.run(preprocessing_image, ml=ml, VISITCAST_AS_OF=AS_OF.isoformat())
    assert code == 0, printed
    return ml / "processing/output/dataset"


@pytest.fixture(scope="session")
def model(engine: Engine, training_image: str, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``model.tar.gz`` of a training container, packed as SageMaker packs it."""
    ml = training_folder(tmp_path_factory.mktemp("training"), dataset, epochs="2", units="8")
    code, printed = engine.run(training_image, "train", ml=ml)
    assert code == 0, printed
    assert "final_validation_log_loss=" in printed
    archive = ml / "model.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(ml / "model", arcname=".")
    return archive


@pytest.fixture(scope="session")
def deployed_model(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with ``model/``, unpacked as SageMaker unpacks it for an endpoint."""
    root = tmp_path_factory.mktemp("deployed")
    shutil.unpack_archive(model, root / "model")
    return root
