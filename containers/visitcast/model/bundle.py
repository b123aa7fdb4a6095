"""The model artifact: everything that forecasting needs, in one folder that SageMaker packs as ``model.tar.gz``.

model.json           everything except the scorer, readable; names the kind of the scorer
transformer.joblib   the fitted feature pipeline, unchanged from the dataset
network.onnx, ...    the scorer's files; those of the GRU are the network and encoding.json, the numbers of the
                     feature pipeline, so that forecasting needs neither scikit-learn nor pandas
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from visitcast.data.dataset import TRANSFORMER_FILE
from visitcast.data.schema import SCHEMA_VERSION
from visitcast.errors import InputError
from visitcast.model import learners, visit_probability
from visitcast.model.baselines import tuned_histogram
from visitcast.model.calibration import Calibration
from visitcast.model.learner import Scorer
from visitcast.model.mixture import Weights

if TYPE_CHECKING:
    from visitcast.features.pipeline import FeaturePipeline

MODEL_FILE: Final = "model.json"

MODEL_VERSION: Final = 6
"""Version of the bundle's files and the network's layers; raise it when older models become unreadable. Features are
compared by name instead."""


class VersionMismatch(InputError):  # noqa: N818 (it is an InputError, and says what does not match)
    """A bundle of another release, which this one cannot read."""


@dataclass(frozen=True, slots=True)
class Blend:
    """How the forecasts of scorer and histogram become one.

    Attributes
    ----------
    mixture : tuple of float
        Weight of the scorer by history length.
    calibration : Calibration
        Of the mixed forecast.
    """

    mixture: Weights
    calibration: Calibration


@dataclass(frozen=True, repr=False)
class Bundle:
    """A fitted forecaster.

    Attributes
    ----------
    scorer : Scorer
        What was learnt.
    histogram : tuned_histogram.Parameters
        Tuned histogram, for short histories and for mixing.
    eve_over, eve_unfinished : Blend
        For forecasts made after the day before is over, and for those made earlier, as by the schedule. A scorer may
        lead by far in the first, and not in the second.
    visit_probability : visit_probability.Parameters
        Whether a user comes at all.
    metadata : dict
        What the model was made of: hyperparameters, versions, dataset manifest, cut-offs, validation metrics.
    pipeline : FeaturePipeline or None
        Fitted features; None in a loaded bundle, since a forecast does not need them.
    baseline_only : bool
        Whether the histogram forecasts for everybody, which is the baseline that every model is compared with.
    """

    scorer: Scorer
    histogram: tuned_histogram.Parameters
    eve_over: Blend
    eve_unfinished: Blend
    visit_probability: visit_probability.Parameters
    metadata: dict[str, Any]
    pipeline: FeaturePipeline | None = None
    baseline_only: bool = False

    def __repr__(self) -> str:
        scores = self.metadata.get("validation_metrics", {})
        return f"Bundle({self.scorer.kind}, validation log loss {scores.get('log_loss', float('nan')):.3f})"


def save(folder: Path, bundle: Bundle) -> None:
    """Write a bundle into an existing folder."""
    bundle.scorer.save(folder)
    if bundle.pipeline is not None:
        import joblib  # The serving image has none.

        joblib.dump(bundle.pipeline, folder / TRANSFORMER_FILE)
    content = {
        "schema_version": SCHEMA_VERSION,
        "model_version": MODEL_VERSION,
        "scorer": bundle.scorer.kind,
        "eve_over": asdict(bundle.eve_over),
        "eve_unfinished": asdict(bundle.eve_unfinished),
        "tuned_histogram": tuned_histogram.to_json(bundle.histogram),
        "visit_probability": visit_probability.to_json(bundle.visit_probability),
        "metadata": bundle.metadata,
    }
    text = json.dumps(content, indent=2, allow_nan=False)
    (folder / MODEL_FILE).write_text(text + "\n", encoding="utf-8")


def load(folder: Path, scorers: Mapping[str, type[Scorer]] = learners.SCORERS) -> Bundle:
    """Read what :func:`save` wrote.

    Parameters
    ----------
    folder : Path
        Where it was written.
    scorers : mapping
        Scorers by kind. Default: those of this package.

    Raises
    ------
    InputError
        A file is missing.
    VersionMismatch
        The bundle has another version than this package, or holds a scorer of an unknown kind.
    """
    _require_files(folder, (MODEL_FILE,))
    content = json.loads((folder / MODEL_FILE).read_text(encoding="utf-8"))
    found = content.get("schema_version"), content.get("model_version")
    if found != (SCHEMA_VERSION, MODEL_VERSION):
        raise VersionMismatch(
            "The model has another version than this image.",
            f"Its schema and model versions are {found[0]} and {found[1]}, this image reads "
            f"{SCHEMA_VERSION} and {MODEL_VERSION}.",
            "Serve it with the image that made it, or train again with this one.",
        )
    kind = content["scorer"]
    if kind not in scorers:
        raise VersionMismatch(
            "The model holds a scorer of an unknown kind.",
            f"It is {kind!r}; known are {', '.join(scorers)}.",
            "Load it with the code that trained it.",
        )
    _require_files(folder, scorers[kind].files)
    return Bundle(
        scorer=scorers[kind].load(folder),
        histogram=tuned_histogram.from_json(content["tuned_histogram"]),
        eve_over=_blend(content["eve_over"]),
        eve_unfinished=_blend(content["eve_unfinished"]),
        visit_probability=visit_probability.from_json(content["visit_probability"]),
        metadata=content["metadata"],
    )


def _blend(content: Mapping[str, Any]) -> Blend:
    return Blend(tuple(content["mixture"]), Calibration(**content["calibration"]))


def _require_files(folder: Path, names: tuple[str, ...]) -> None:
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise InputError(
            "This folder holds no model.", f"{folder} lacks {', '.join(missing)}.", "Use the output of a training job."
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
        The archive is missing or not a tar file.
    """
    with TemporaryDirectory() as folder:
        try:
            with tarfile.open(archive) as tar:
                tar.extraction_filter = getattr(tarfile, "data_filter", None)  # None before Python 3.11.4
                tar.extractall(folder)  # nosec B202 # filtered by the line above
        except (OSError, tarfile.TarError) as error:
            raise InputError(
                "The model archive cannot be read.",
                f"{archive}: {error}.",
                "Check the path, and that the training job succeeded.",
            ) from error
        yield Path(folder)
