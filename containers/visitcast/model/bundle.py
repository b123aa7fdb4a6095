"""The model artifact: everything that forecasting needs, in one folder that SageMaker packs as ``model.tar.gz``.

network.onnx         the network and its weights
transformer.joblib   the fitted feature pipeline, unchanged from the dataset
encoding.json        the pipeline's fitted numbers: forecasting needs neither scikit-learn nor pandas
model.json           everything else, readable
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from visitcast.data.dataset import TRANSFORMER_FILE
from visitcast.data.schema import SCHEMA_VERSION
from visitcast.errors import InputError
from visitcast.features import encoding
from visitcast.features.encoding import Encoding
from visitcast.model.baselines import tuned_histogram
from visitcast.model.gru import inference
from visitcast.model.gru.inference import Network
from visitcast.model.mixture import Mixture

if TYPE_CHECKING:
    from visitcast.features.pipeline import FeaturePipeline

NETWORK_FILE: Final = "network.onnx"
ENCODING_FILE: Final = "encoding.json"
MODEL_FILE: Final = "model.json"

MODEL_VERSION: Final = 4
"""Of the bundle's files and the network's layers; raise it when older models become unreadable.
The features are compared by their names."""


class VersionMismatch(InputError):  # noqa: N818 (it is an InputError, and says what does not match)
    """A bundle of another release, which this one cannot read."""


@dataclass(frozen=True)
class Bundle:
    """A fitted forecaster.

    Attributes
    ----------
    network : Network
        Trained network.
    encoding : Encoding
        Numbers of the fitted feature pipeline.
    histogram : tuned_histogram.Parameters
        Tuned histogram, for short histories and for mixing.
    mixture : Mixture
        Weight of the network by history length.
    first_hour_temperature, visited_temperature : float
        Temperatures of the two heads.
    metadata : dict
        What the model was made of: hyperparameters, versions, dataset manifest, cut-offs, validation metrics.
    """

    network: Network
    encoding: Encoding
    histogram: tuned_histogram.Parameters
    mixture: Mixture
    first_hour_temperature: float
    visited_temperature: float
    metadata: dict[str, Any]


def save(folder: Path, bundle: Bundle, pipeline: FeaturePipeline) -> None:
    """Write a bundle into an existing folder, with the pipeline that holds its encoding."""
    import joblib  # The serving image has none.

    (folder / NETWORK_FILE).write_bytes(bundle.network.model)
    joblib.dump(pipeline, folder / TRANSFORMER_FILE)
    _write_json(folder / ENCODING_FILE, encoding.to_json(bundle.encoding))
    content = {
        "schema_version": SCHEMA_VERSION,
        "model_version": MODEL_VERSION,
        "first_hour_temperature": bundle.first_hour_temperature,
        "visited_temperature": bundle.visited_temperature,
        "mixture": asdict(bundle.mixture),
        "tuned_histogram": tuned_histogram.to_json(bundle.histogram),
        "metadata": bundle.metadata,
    }
    _write_json(folder / MODEL_FILE, content)


def _write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def load(folder: Path) -> Bundle:
    """Read what :func:`save` wrote.

    Raises
    ------
    InputError
        A file is missing.
    VersionMismatch
        The bundle has another version than this package.
    """
    missing = [
        name for name in (MODEL_FILE, NETWORK_FILE, TRANSFORMER_FILE, ENCODING_FILE) if not (folder / name).is_file()
    ]
    if missing:
        raise InputError(
            "This folder holds no model.", f"{folder} lacks {', '.join(missing)}.", "Use the output of a training job."
        )
    content = json.loads((folder / MODEL_FILE).read_text(encoding="utf-8"))
    found = content.get("schema_version"), content.get("model_version")
    if found != (SCHEMA_VERSION, MODEL_VERSION):
        raise VersionMismatch(
            "The model has another version than this image.",
            f"Its schema and model versions are {found[0]} and {found[1]}, this image reads "
            f"{SCHEMA_VERSION} and {MODEL_VERSION}.",
            "Serve it with the image that made it, or train again with this one.",
        )
    return Bundle(
        network=inference.load((folder / NETWORK_FILE).read_bytes()),
        encoding=encoding.from_json(json.loads((folder / ENCODING_FILE).read_text(encoding="utf-8"))),
        histogram=tuned_histogram.from_json(content["tuned_histogram"]),
        mixture=Mixture(**{head: tuple(values) for head, values in content["mixture"].items()}),
        first_hour_temperature=content["first_hour_temperature"],
        visited_temperature=content["visited_temperature"],
        metadata=content["metadata"],
    )


def read_pipeline(folder: Path) -> FeaturePipeline:
    """Read the fitted feature pipeline from a dataset's or a bundle's folder.

    Raises
    ------
    InputError
        The file is missing.
    """
    file = folder / TRANSFORMER_FILE
    if not file.is_file():
        raise InputError("The fitted features are missing.", f"There is no {file}.", "Run the preprocessing again.")
    import joblib

    pipeline: FeaturePipeline = joblib.load(file)
    return pipeline


@contextmanager
def unpacked(archive: Path) -> Iterator[Path]:
    """Unpack ``model.tar.gz`` into a temporary folder for the time of the block.

    Raises
    ------
    InputError
        The archive is missing or no tar file.
    """
    with TemporaryDirectory() as folder:
        try:
            with tarfile.open(archive) as tar:
                tar.extraction_filter = getattr(tarfile, "data_filter", None)  # None before Python 3.11.4
                tar.extractall(folder)  # nosec B202 # filtered by the line above
        except (OSError, tarfile.TarError) as error:
            raise InputError(
                "The model archive cannot be read.", f"{archive}: {error}.", "Check that the training job succeeded."
            ) from error
        yield Path(folder)
