"""Turn visits CSV files into the dataset that training reads."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import sklearn

from preprocessing.settings import read_settings
from visitcast import features, paths, protocol, schema
from visitcast.contract import progress, whole_folder
from visitcast.dataset import TRANSFORMER_FILE, Dataset, from_frame, write
from visitcast.errors import InputError
from visitcast.manifest import Counts, CutOffs, Manifest, Shard, write_manifest
from visitcast.visits_csv import read_visits


def preprocess() -> None:
    """Read, check and store the visits; fit the transformer on the days before validation starts.

    Raises
    ------
    InputError
        The settings or the visits cannot be used. The output folder is then left as it was.
    """
    settings = read_settings(os.environ)
    require_one_instance(paths.resource_config())
    files = visits_files(paths.visits_input())

    progress(0.0, f"reading {len(files)} visits CSV")
    dataset = from_frame(read_visits(files, settings.as_of, settings.max_input_bytes))

    progress(0.5, f"splitting {dataset.visit_days:,} visit days of {dataset.users:,} users by date")
    parts = protocol.split(dataset)
    protocol.require_enough_rows(parts)

    progress(0.6, f"fitting features on the days before {_iso(parts.validation_starts)}")
    pipeline = features.fit(dataset, before=parts.validation_starts)

    with whole_folder(paths.dataset_output()) as folder:
        progress(0.8, "writing the dataset")
        joblib.dump(pipeline, folder / TRANSFORMER_FILE)
        shards = write(folder, dataset)
        write_manifest(folder, describe(dataset, parts, pipeline, shards, settings.as_of))
    progress(
        1.0,
        f"done: {len(parts.train):,} training, {len(parts.validation):,} validation, {len(parts.test):,} test rows",
    )


def visits_files(folder: Path) -> list[Path]:
    """List the CSV files of the input channel by key. Athena's ``.csv.metadata`` beside them is left out."""
    return sorted(folder.rglob("*.csv")) if folder.is_dir() else []


def require_one_instance(resource_config: Path) -> None:
    """Refuse to share the work: cut-offs and the transformer need all visits in one place.

    Raises
    ------
    InputError
        SageMaker says that the job has several instances. Each would write a dataset of its own.
    """
    if not resource_config.is_file():
        return
    hosts = json.loads(resource_config.read_text(encoding="utf-8")).get("hosts", [])
    if len(hosts) > 1:
        raise InputError(
            "Preprocessing runs on one instance.",
            f"The job has {len(hosts)}: {', '.join(hosts)}.",
            "Set the instance count of the preprocessing to 1; choose a larger instance type for more data.",
        )


def describe(
    dataset: Dataset,
    parts: protocol.Split,
    pipeline: features.FeaturePipeline,
    shards: list[Shard],
    as_of: datetime,
) -> Manifest:
    """Describe a dataset in a manifest."""
    history_names, target_names = features.feature_names(pipeline)
    return Manifest(
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        as_of=as_of.isoformat(timespec="seconds"),
        columns=list(schema.VISITS_COLUMNS),
        feature_names=[*history_names, *target_names],
        shards=shards,
        counts=Counts(
            users=dataset.users,
            visit_days=dataset.visit_days,
            train_rows=len(parts.train),
            validation_rows=len(parts.validation),
            test_rows=len(parts.test),
        ),
        cut_offs=CutOffs(_iso(parts.validation_starts), _iso(parts.test_starts)),
        versions={
            "python": platform.python_version(),
            "numpy": np.__version__,
            "pandas": pd.__version__,
            "pyarrow": pa.__version__,
            "scikit-learn": sklearn.__version__,
        },
    )


def _iso(days_since_epoch: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=days_since_epoch)).isoformat()
