"""One instance's part of a dataset: its shards, and the statistics from which the dataset is completed.

Two files beside the shards, for ``python -m visitcast combine``: ``part-<instance>.json`` (shards, settings) and
``part-<instance>.npz`` (statistics by date, and a hash of eight bytes for every user).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np

from visitcast.data.dataset import Dataset, concatenate, write_shard
from visitcast.data.manifest import MANIFEST_FILE, Shard
from visitcast.data.schema import SCHEMA_VERSION
from visitcast.data.seen_users import NO_HASHES, Hashes, hashes
from visitcast.errors import InputError
from visitcast.features.day_statistics import EMPTY, DayStatistics, merge, summarise

ROWS_PER_SHARD: Final = 250_000
"""About 9 MB."""
_USER_HASHES: Final = "user_hashes"


@dataclass(frozen=True)
class Part:
    """The result of one of several instances.

    Attributes
    ----------
    instance, instances : int
        Number of the instance, from 1, and how many there are.
    as_of : str
        ISO-8601 UTC instant at which the data end.
    shards : list of Shard
        Files.
    statistics : DayStatistics
        Statistics of the instance's visit days.
    user_hashes : uint64 array [users]
        In the order of the shards and their users.
    """

    instance: int
    instances: int
    as_of: str
    shards: list[Shard]
    statistics: DayStatistics
    user_hashes: Hashes


def build(
    blocks: Iterator[Dataset],
    folder: Path,
    as_of: str,
    instance: int = 1,
    instances: int = 1,
    rows_per_shard: int = ROWS_PER_SHARD,
) -> Part:
    """Write checked visits into shards as they are read, and compute their statistics.

    Parameters
    ----------
    blocks : iterator of Dataset
        Whole users, each once.
    folder : Path
        Existing folder for the shards.
    as_of : str
        Instant at which the data end.
    instance, instances : int
        Number of this instance, from 1, and how many there are.
    rows_per_shard : int
        Visit days that complete a shard; memory is bounded by them.
    """
    prefix = "shard" if instances == 1 else f"shard-{instance}"
    shards: list[Shard] = []
    statistics = EMPTY
    user_hashes = [NO_HASHES]
    waiting: list[Dataset] = []

    def write_waiting() -> None:
        shards.append(write_shard(folder, f"{prefix}-{len(shards):05d}.npz", concatenate(waiting)))
        waiting.clear()

    for block in blocks:
        statistics = merge([statistics, summarise(block)])
        user_hashes.append(hashes(block.user_ids))
        waiting.append(block)
        if sum(one.visit_days for one in waiting) >= rows_per_shard:
            write_waiting()
    if waiting:
        write_waiting()
    return Part(instance, instances, as_of, shards, statistics, np.concatenate(user_hashes))


def write_part(folder: Path, part: Part) -> None:
    """Write the two files."""
    arrays = {field.name: getattr(part.statistics, field.name) for field in fields(DayStatistics)}
    np.savez(folder / f"part-{part.instance}.npz", allow_pickle=False, **arrays, **{_USER_HASHES: part.user_hashes})
    content = {
        "schema_version": SCHEMA_VERSION,
        "instance": part.instance,
        "instances": part.instances,
        "as_of": part.as_of,
        "shards": [asdict(shard) for shard in part.shards],
    }
    (folder / f"part-{part.instance}.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_parts(folder: Path) -> list[Part]:
    """Read the parts of all instances, in the order of their numbers.

    Raises
    ------
    InputError
        An instance's part is missing, repeated, unreadable or of another schema version.
    """
    # Found by extension: a channel of the keys with the prefix `part-` may drop these letters from the names.
    files = [file for file in folder.rglob("*.json") if file.name != MANIFEST_FILE]
    parts = sorted((_read_part(file) for file in files), key=lambda part: part.instance)
    expected = range(1, max((part.instances for part in parts), default=1) + 1)
    if [part.instance for part in parts] != list(expected):
        raise InputError(
            "Not every preprocessing instance left its part.",
            f"{len(expected)} expected, found: {', '.join(f'part-{part.instance}' for part in parts) or 'none'}.",
            "Start the execution again; a preprocessing job must succeed as a whole, into an empty folder.",
        )
    return parts


def _read_part(file: Path) -> Part:
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if content.get("schema_version") != SCHEMA_VERSION:
        raise InputError(
            "A part of the preprocessing has another schema version than this image.",
            f"{file.name} says {content.get('schema_version')}, this image writes {SCHEMA_VERSION}.",
            "Run the preprocessing again; all its jobs need the same image.",
        )
    try:
        with np.load(file.with_suffix(".npz"), allow_pickle=False) as arrays:
            return Part(
                instance=content["instance"],
                instances=content["instances"],
                as_of=content["as_of"],
                shards=[Shard(**shard) for shard in content["shards"]],
                statistics=DayStatistics(**{field.name: arrays[field.name] for field in fields(DayStatistics)}),
                user_hashes=arrays[_USER_HASHES],
            )
    except (OSError, KeyError, ValueError, TypeError, BadZipFile) as error:
        raise InputError(
            "A part of the preprocessing cannot be read.",
            f"{file.name}: {type(error).__name__}: {error}",
            "Run the preprocessing again; all its jobs need the same image.",
        ) from error
