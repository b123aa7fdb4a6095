"""Turn visits into the dataset that training reads, on one instance or on several."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from visitcast import paths
from visitcast.contract import progress, whole_folder
from visitcast.data.dataset import Dataset
from visitcast.data.manifest import Counts
from visitcast.data.visits import read_blocks, visits_files
from visitcast.errors import InputError
from visitcast.preprocessing.combine import complete
from visitcast.preprocessing.inputs import estimate_visit_days
from visitcast.preprocessing.part import build, read_parts, write_part
from visitcast.preprocessing.settings import read_settings

_PROGRESS_STEPS: Final = 20


def preprocess() -> None:
    """Read, check and store the visits that were given to this instance.

    The only instance completes the dataset too. One of several writes its part; :func:`combine` completes it.

    Raises
    ------
    InputError
        The settings or the visits cannot be used. The output folder is then left as it was.
    """
    settings = read_settings(os.environ)
    instance, instances = read_instance(paths.resource_config())
    files = visits_files(paths.visits_input())
    progress(0.0, f"reading visits, files: {len(files)}")
    # One of several instances may have nothing to do: there may be fewer files than instances.
    blocks = read_blocks(files, settings.as_of, settings.max_input_bytes) if files or instances == 1 else iter(())
    with whole_folder(paths.dataset_output()) as folder:
        reported = _reported(blocks, estimate_visit_days(files))
        part = build(reported, folder, settings.as_of.isoformat(timespec="seconds"), instance, instances)
        if instances == 1:
            progress(0.9, "fitting the features")
            report(complete(folder, [part]))
        else:
            write_part(folder, part)
            progress(1.0, f"instance {instance} of {instances} done: {len(part.user_hashes):,} users")


def combine() -> None:
    """Complete the dataset that several instances wrote: manifest and transformer from their parts.

    Raises
    ------
    InputError
        Parts are missing or do not match.
    """
    parts = read_parts(paths.parts_input())
    progress(0.1, f"combining {len(parts)} parts")
    with whole_folder(paths.dataset_output()) as folder:
        report(complete(folder, parts))


def read_instance(resource_config: Path) -> tuple[int, int]:
    """Read this instance's number, from 1, and how many there are.

    Raises
    ------
    InputError
        SageMaker's file names hosts in a form that this image does not know.
    """
    if not resource_config.is_file():
        return 1, 1
    content = json.loads(resource_config.read_text(encoding="utf-8"))
    hosts: Sequence[str] = content.get("hosts", [])
    if len(hosts) <= 1:
        return 1, 1
    numbers = [re.search(r"\d+\Z", host) for host in hosts]
    current = content.get("current_host")
    if current not in hosts or sorted(int(found[0]) for found in numbers if found) != list(range(1, len(hosts) + 1)):
        raise InputError(
            "The job's instances cannot be identified.",
            f"current_host={current!r}, hosts={', '.join(hosts)}.",
            "Hosts must be named algo-1, algo-2, ...; run the job as a SageMaker processing job.",
        )
    return int(current.rpartition("-")[2]), len(hosts)


def report(counts: Counts) -> None:
    """Print the last progress line."""
    progress(
        1.0,
        f"done: {counts.train_rows:,} training, {counts.validation_rows:,} validation, {counts.test_rows:,} test rows",
    )


def _reported(blocks: Iterator[Dataset], expected_days: int) -> Iterator[Dataset]:
    """Print a progress line for every twentieth of the visit days; reading ends at 0.9."""
    users = visit_days = steps = 0
    for block in blocks:
        users += block.users
        visit_days += block.visit_days
        done = min(visit_days / max(expected_days, 1), 1.0)
        if int(done * _PROGRESS_STEPS) > steps:
            steps = int(done * _PROGRESS_STEPS)
            progress(0.9 * done, f"read {visit_days:,} visit days of {users:,} users")
        yield block
