"""The plan of a run for other rules, from the files that the run's own plan was made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from console.data.stack import client
from visitcast.errors import InputError
from visitcast.sending.plan_inputs import NAMES, PlanInputs, read_plan_inputs
from visitcast.sending.what_if import what_if

MOST_USERS = 1_000_000
"""They take some 2 GB of memory here, and a plan some seconds."""
_kept: dict[str, PlanInputs] = {}
"""The inputs of one run, the last that was asked for."""
_plans: dict[str, dict[str, Any]] = {}
"""Plans of that run, by their campaign: the page compares each one with the first."""
_MOST_PLANS = 100
_lock = Lock()


def sends(run: str, campaign: Mapping[str, Any], users: int) -> dict[str, Any]:
    """Plan the sends of a run again for a campaign.

    Parameters
    ----------
    run : str
        The run.
    campaign : mapping
        Its ``campaign.json`` with other rules.
    users : int
        That it has forecast.

    Returns
    -------
    dict
        As the run's report has it under ``sends``.

    Raises
    ------
    ValueError
        The run has too many users, its job is not on record, or its files cannot be read; in words for people.
    """
    if users > MOST_USERS:
        raise ValueError(
            f"The run has {users:,} users; the console plans for up to {MOST_USERS:,}. "
            "Start a forecast run with these rules."
        )
    try:
        with _lock:  # whoever asks meanwhile waits: a plan takes all cores
            inputs, key = _inputs(run), json.dumps(campaign, sort_keys=True)
            if key not in _plans:
                if len(_plans) >= _MOST_PLANS:
                    _plans.clear()
                _plans[key] = what_if(inputs, campaign)
            return _plans[key]
    except InputError as error:
        raise ValueError(f"{error.headline} {error.cause} {error.remedy}") from error


def _inputs(run: str) -> PlanInputs:
    job = f"visitcast-plan-{run}"
    if job not in _kept:
        found = _read(job)
        _kept.clear()
        _plans.clear()
        _kept[job] = found
    return _kept[job]


def _read(name: str) -> PlanInputs:
    sagemaker = client("sagemaker")
    jobs = sagemaker.list_processing_jobs(
        NameContains=name, StatusEquals="Completed", SortBy="CreationTime", SortOrder="Descending", MaxResults=1
    )["ProcessingJobSummaries"]
    if not jobs:
        raise ValueError(f"SageMaker has no job {name} on record, from whose inputs the plan was made.")
    job = sagemaker.describe_processing_job(ProcessingJobName=jobs[0]["ProcessingJobName"])
    places = {item["InputName"]: item["S3Input"]["S3Uri"] for item in job["ProcessingInputs"]}
    with TemporaryDirectory(prefix="visitcast-what-if-") as folder:
        for input_name in NAMES:
            _download(places[input_name], Path(folder, input_name))
        return read_plan_inputs(Path(folder), job["Environment"])


def _download(uri: str, folder: Path) -> None:
    """Download an object, or all objects with a prefix."""
    parts = urlsplit(uri)
    prefix = parts.path.lstrip("/")
    folder.mkdir()
    pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=parts.netloc, Prefix=prefix)
    for number, item in enumerate(item for page in pages for item in page.get("Contents", [])):
        name = PurePosixPath(item["Key"]).name
        if name and not item["Key"].endswith("/"):
            place = folder / f"{number:05d}"
            place.mkdir()
            client("s3").download_file(parts.netloc, item["Key"], str(place / name))
