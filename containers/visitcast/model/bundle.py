"""The model artifact: everything that forecasting needs, in one folder that SageMaker packs as ``model.tar.gz``.

model.json           everything except the scorer, readable; names the kind of the scorer
transformer.joblib   the fitted feature pipeline, unchanged from the dataset
network.onnx, ...    the scorer's files; those of the GRU are the network and encoding.json, the numbers of the
                     feature pipeline, so that forecasting needs neither scikit-learn nor pandas
probe.json           made-up users and what training forecast for them (:mod:`visitcast.model.probe`)
checksums.json       bytes and SHA-256 of each of the other files
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from visitcast.data.dataset import TRANSFORMER_FILE
from visitcast.data.schema import SCHEMA_VERSION
from visitcast.errors import InputError
from visitcast.model import learners, probe, visit_probability
from visitcast.model.baselines import tuned_histogram
from visitcast.model.calibration import Calibration
from visitcast.model.learner import Scorer
from visitcast.model.mixture import Weights
from visitcast.model.probe import Probe

if TYPE_CHECKING:
    from visitcast.features.pipeline import FeaturePipeline

MODEL_FILE: Final = "model.json"
PROBE_FILE: Final = "probe.json"
CHECKSUMS_FILE: Final = "checksums.json"
LARGEST_BYTES: Final = 256 * 2**20
"""Bytes of a bundle's files together. The network with 1,024 units has 30 MB."""

MODEL_VERSION: Final = 7
"""Version of the bundle's files and the network's layers; raise it when older models become unreadable. Features are
compared by name instead."""


_REMEDY: Final = "Use the archive of a training job as it was written, or train again."


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
    probe : Probe or None
        What it forecast for made-up users when it was trained; :mod:`visitcast.forecasting.probing` compares.
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
    probe: Probe | None = None

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
    _write_json(folder / MODEL_FILE, content, indent=2)
    if bundle.probe is not None:
        _write_json(folder / PROBE_FILE, probe.to_json(bundle.probe))
    _write_json(folder / CHECKSUMS_FILE, {file.name: _checksum(file) for file in sorted(folder.iterdir())}, indent=2)


def _write_json(file: Path, content: Any, indent: int | None = None) -> None:
    file.write_text(json.dumps(content, indent=indent, allow_nan=False) + "\n", encoding="utf-8")


def _checksum(file: Path) -> dict[str, int | str]:
    content = file.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


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
        A file is missing, or is not the one that was saved.
    VersionMismatch
        The bundle has another version than this package, or holds a scorer of an unknown kind.
    """
    _require_files(folder, (MODEL_FILE,))
    # The version first: a bundle of an earlier release has other files.
    content = _read_json(folder / MODEL_FILE)
    found = content.get("schema_version"), content.get("model_version")
    if found != (SCHEMA_VERSION, MODEL_VERSION):
        raise VersionMismatch(
            "The model has another version than this image.",
            f"Its schema and model versions are {found[0]} and {found[1]}, this image reads "
            f"{SCHEMA_VERSION} and {MODEL_VERSION}.",
            "Serve it with the image that made it, or train again with this one.",
        )
    _require_files(folder, (CHECKSUMS_FILE,))
    _require_unchanged(folder, _known_files())
    try:
        return _restored(folder, content, scorers)
    except InputError:
        raise
    except Exception as error:
        # Of many types: of JSON, of the constructors, and of the library that runs the network.
        raise InputError("The model cannot be read.", f"{type(error).__name__}: {error}", _REMEDY) from error


def _restored(folder: Path, content: Mapping[str, Any], scorers: Mapping[str, type[Scorer]]) -> Bundle:
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
        probe=probe.from_json(_read_json(folder / PROBE_FILE)) if (folder / PROBE_FILE).is_file() else None,
    )


def _read_json(file: Path) -> dict[str, Any]:
    """Read an object from a file of bounded size.

    Raises
    ------
    InputError
        It holds something else.
    """
    try:
        content = json.loads(_bounded(file))
    except (ValueError, RecursionError) as error:
        raise InputError("A file of the model cannot be read.", f"{file}: {error}", _REMEDY) from error
    if not isinstance(content, dict):
        raise InputError("A file of the model cannot be read.", f"{file} holds no object.", _REMEDY)
    return content


def _bounded(file: Path) -> bytes:
    if (size := file.stat().st_size) > LARGEST_BYTES:
        raise ValueError(f"It has {size:,} bytes.")
    return file.read_bytes()


def _known_files() -> set[str]:
    """Names of the files that a bundle may have."""
    return {MODEL_FILE, TRANSFORMER_FILE, PROBE_FILE, CHECKSUMS_FILE}.union(
        *(scorer.files for scorer in learners.SCORERS.values())
    )


def _require_unchanged(folder: Path, known: set[str]) -> None:
    """Compare all files with their checksums.

    Raises
    ------
    InputError
        A file is missing, has changed or has no checksum.
    """
    saved = _read_json(folder / CHECKSUMS_FILE)
    _require_files(folder, tuple(saved))
    unsaved = sorted(name for name in known - saved.keys() - {CHECKSUMS_FILE} if (folder / name).exists())
    if unsaved:
        raise InputError(
            "A file of the model has changed since it was saved.",
            f"{CHECKSUMS_FILE} in {folder} has no checksum of {', '.join(unsaved)}.",
            _REMEDY,
        )
    for name, checksum in saved.items():
        file = folder / name
        if Path(name).name != name or file.stat().st_size > LARGEST_BYTES or _checksum(file) != checksum:
            raise InputError(
                "A file of the model has changed since it was saved.",
                f"{file} has another size or checksum than {CHECKSUMS_FILE} says.",
                _REMEDY,
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
    """Copy the files of a bundle out of ``model.tar.gz`` into a temporary folder for the time of the block.

    Names are compared, never used as paths, so that nothing depends on the filters of :mod:`tarfile`, which Python
    3.11.2 does not have and other versions had with faults (CVE-2025-4517). Other members are not unpacked.

    Raises
    ------
    InputError
        The archive is missing, incomplete, larger than a bundle, or a file of a bundle is no plain file in it or
        appears twice.
    """
    with TemporaryDirectory() as folder:
        try:
            with tarfile.open(fileobj=_decompressed(archive), mode="r:") as tar:
                _copy_files(tar, Path(folder))
        except (OSError, EOFError, ValueError, zlib.error, tarfile.TarError) as error:
            raise InputError("The model archive cannot be read.", f"{archive}: {error}.", _REMEDY) from error
        yield Path(folder)


def _decompressed(archive: Path) -> io.BytesIO:
    with gzip.open(archive) as packed:
        content = packed.read(LARGEST_BYTES + 1)
    if len(content) > LARGEST_BYTES:
        raise tarfile.TarError(f"it has more than {LARGEST_BYTES:,} bytes")
    return io.BytesIO(content)


def _copy_files(tar: tarfile.TarFile, folder: Path) -> None:
    known = _known_files()
    for member in tar:
        name = member.name.removeprefix("./")
        if name not in known:
            continue
        # A sparse member of 80 bytes may stand for gigabytes.
        content = tar.extractfile(member) if member.isreg() and not member.issparse() else None
        if content is None or (folder / name).exists():
            raise tarfile.TarError(f"{name} is no plain file, or appears twice")
        (folder / name).write_bytes(content.read())
