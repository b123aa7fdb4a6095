"""The shards of a dataset as training reads them: one at a time, turned into features and lanes on the way.

Features take some forty times the room of the visit days that they come from (:mod:`visitcast.data.dataset`),
so they exist for the open shards alone; of those that are open all the time there are only as many as
``KEPT_VISIT_DAYS`` allows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data.dataset import Dataset, read_shard
from visitcast.data.manifest import read_manifest
from visitcast.data.protocol import rows_before
from visitcast.features.encoding import Encoding, history_names, target_names, transform
from visitcast.model.gru.packing import Lanes, pack
from visitcast.model.gru.sequences import cut

KEPT_VISIT_DAYS: Final = 500_000
"""Features of so many visit days stay in memory from epoch to epoch, some 0.9 GB; those of the others are made anew."""

ReadShard = Callable[[], Dataset]


@dataclass(frozen=True, slots=True)
class OpenShard:
    """Flat arrays over the N visit days of a shard, and the lanes that name their rows.

    Attributes
    ----------
    visit : float32 array [N, F]
        Features of the visit day itself; read only for later days.
    target : float32 array [N, G]
        What is known of the day before it begins: its calendar and the histograms of earlier days.
    log_prior : float32 array [N, 24]
        Log of the user's smoothed histogram before the day.
    first_hour : int32 array [N]
        Hour of the first visit.
    hourly_visits : int32 array [N]
        Mask of the visited hours.
    lanes : Lanes
        Pieces of histories in which a row's forecast counts.
    """

    visit: NDArray[np.float32]
    target: NDArray[np.float32]
    log_prior: NDArray[np.float32]
    first_hour: NDArray[np.int32]
    hourly_visits: NDArray[np.int32]
    lanes: Lanes


class Shards:
    """A dataset's training rows, shard by shard.

    Making it reads every shard once.

    Parameters
    ----------
    readers : sequence of callables
        Each reads one shard.
    encoding : Encoding
        Fitted numbers of the features.
    before : int
        Training rows lie before this day (days since 1970-01-01), ``Split.validation_starts``.

    Attributes
    ----------
    lanes : list of int
        Lanes of each shard.
    labelled : int
        Training rows of all shards.
    visit_width, target_width : int
        Features of a visit day and of a day to forecast.
    digest : str
        Of everything that the gradient depends on.
    """

    def __init__(self, readers: Sequence[ReadShard], encoding: Encoding, before: int) -> None:
        self._readers, self._encoding, self._before = readers, encoding, before
        self._kept: dict[int, OpenShard] = {}
        self._kept_visit_days = 0
        self.visit_width, self.target_width = len(history_names()), len(target_names())
        self.lanes: list[int] = []
        self.labelled = 0
        digest = hashlib.sha256(f"{before} {self.visit_width} {self.target_width}".encode())
        for read in readers:
            dataset = read()
            lanes = self._pack(dataset)
            self.lanes.append(len(lanes.rows))
            self.labelled += int(lanes.wanted.sum())
            for array in (dataset.offsets, dataset.visit_date, dataset.first_visit_hour, dataset.hourly_visits):
                digest.update(np.ascontiguousarray(array).tobytes())
        self.digest = digest.hexdigest()

    def open(self, number: int) -> OpenShard:
        """Read a shard and make its features, unless they are still there."""
        if number in self._kept:
            return self._kept[number]
        dataset = self._readers[number]()
        made = transform(self._encoding, dataset)
        shard = OpenShard(
            visit=made.history,
            target=made.target,
            log_prior=made.log_prior,
            first_hour=dataset.first_visit_hour.astype(np.int32),
            hourly_visits=dataset.hourly_visits,
            lanes=self._pack(dataset),
        )
        if self._kept_visit_days + dataset.visit_days <= KEPT_VISIT_DAYS:
            self._kept[number] = shard
            self._kept_visit_days += dataset.visit_days
        return shard

    def _pack(self, dataset: Dataset) -> Lanes:
        rows = rows_before(dataset, self._before)
        wanted = np.zeros(dataset.visit_days, dtype=bool)
        wanted[rows] = True
        return pack(cut(dataset.offsets, rows), wanted)


def readers(folder: Path) -> list[ReadShard]:
    """Give a reader for each shard that the manifest of a dataset's folder lists."""
    return [lambda shard=shard: read_shard(folder, shard) for shard in read_manifest(folder).shards]  # type: ignore[misc]
