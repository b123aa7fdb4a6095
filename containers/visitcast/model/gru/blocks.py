"""The training rows, a few users at a time, turned into features and lanes.

Features take some forty times the memory of the visit days that they come from (:mod:`visitcast.data.dataset`), so they
exist for the open blocks alone; those of ``KEPT_VISIT_DAYS`` stay open from epoch to epoch.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data.dataset import Dataset, days_since_last_visit, position_in_history, select_users
from visitcast.data.schedule import cut_days, hours_known, known_flags, scheduled_at
from visitcast.data.schema import HOURS
from visitcast.features import encoding as features
from visitcast.features.encoding import Encoding
from visitcast.features.histograms import decayed_histograms, with_eve_so_far
from visitcast.model.gru.packing import Lanes, pack
from visitcast.model.gru.sequences import cut

BLOCK_VISIT_DAYS: Final = 250_000
"""Visit days of a block; the features of two blocks, one in use and one ahead, take some 0.9 GB."""
KEPT_VISIT_DAYS: Final = 500_000
"""Number of visit days whose features stay in memory from epoch to epoch, some 0.9 GB; the others are computed
again."""


@dataclass(frozen=True, slots=True)
class OpenBlock:
    """Flat arrays over the N visit days of a block.

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
    eve_known : float32 array [N]
        Share of the day before that is known when the schedule forecasts the row.
    as_scheduled : int32 array [N]
        Position in the arrays below of a row to learn from whose eve is a visit day, and not over when the schedule
        forecasts the row; -1 for others.
    target_as_scheduled : float32 array [A, G]
        What the schedule knows of such a row.
    log_prior_as_scheduled : float32 array [A, 24]
        The same for `log_prior`.
    """

    visit: NDArray[np.float32]
    target: NDArray[np.float32]
    log_prior: NDArray[np.float32]
    first_hour: NDArray[np.int32]
    hourly_visits: NDArray[np.int32]
    eve_known: NDArray[np.float32]
    as_scheduled: NDArray[np.int32]
    target_as_scheduled: NDArray[np.float32]
    log_prior_as_scheduled: NDArray[np.float32]


class TrainingBlocks:
    """The users that have training rows, in blocks.

    Parameters
    ----------
    dataset : Dataset
        Visit days.
    train : int64 array [rows]
        Training rows, ascending.
    encoding : Encoding
        Fitted numbers of the features.

    Attributes
    ----------
    lanes : list of Lanes
        Pieces of histories of each block, in which the training rows count.
    labelled : int
        Training rows of all blocks.
    visit_width, target_width : int
        Features of a visit day and of a day to forecast.
    digest : str
        Of the visit days and the training rows, which the gradient depends on.
    """

    def __init__(self, dataset: Dataset, train: NDArray[np.int64], encoding: Encoding) -> None:
        self._encoding = encoding
        self._open: dict[int, OpenBlock] = {}
        self._open_visit_days = 0
        self._blocks: list[Dataset] = []
        self._train: list[NDArray[np.int64]] = []
        self.visit_width, self.target_width = len(features.history_names()), len(features.target_names())
        self.lanes: list[Lanes] = []
        self.labelled = len(train)
        digest = hashlib.sha256(f"{self.visit_width} {self.target_width}".encode())
        user, position = dataset.offsets.searchsorted(train, side="right") - 1, position_in_history(dataset, train)
        for members in _parted(np.unique(user), dataset):
            block = select_users(dataset, members)
            here = slice(*user.searchsorted([members[0], members[-1] + 1]))
            rows = block.offsets[members.searchsorted(user[here])] + position[here]
            wanted = np.zeros(block.visit_days, dtype=np.bool_)
            wanted[rows] = True
            self._blocks.append(block)
            self._train.append(rows)
            self.lanes.append(pack(cut(block.offsets, rows), wanted))
            for array in (block.offsets, block.visit_date, block.first_visit_hour, block.hourly_visits, rows):
                digest.update(np.ascontiguousarray(array).tobytes())
        self.digest = digest.hexdigest()

    def open(self, number: int) -> OpenBlock:
        """Return the features of a block, which are computed again unless they were kept."""
        if number in self._open:
            return self._open[number]
        dataset = self._blocks[number]
        histograms = decayed_histograms(dataset)
        made = features.transform(self._encoding, dataset, histograms)
        train = self._train[number]
        dates = dataset.visit_date[train]
        eve_hours = hours_known(dates - 1, dataset.utc_offset_minutes[train - 1], scheduled_at(dates))
        eve_known = np.ones(dataset.visit_days, dtype=np.float32)
        eve_known[train] = eve_hours / HOURS
        unfinished = (days_since_last_visit(dataset, train) == 1) & (eve_hours < HOURS)
        rows, eve_hours = train[unfinished], eve_hours[unfinished]
        known = known_flags(dataset.hourly_visits[rows - 1], eve_hours)
        seen = known.any(axis=1)
        so_far = cut_days(dataset, rows[seen] - 1, known[seen])
        as_scheduled = np.full(dataset.visit_days, -1, dtype=np.int32)
        as_scheduled[rows] = np.arange(len(rows))
        target_as_scheduled, log_prior_as_scheduled = features.target_features(
            self._encoding, so_far, rows, with_eve_so_far(dataset, rows, histograms[rows], known), eve_hours
        )
        block = OpenBlock(
            visit=made.history,
            target=made.target,
            log_prior=made.log_prior,
            first_hour=dataset.first_visit_hour.astype(np.int32),
            hourly_visits=dataset.hourly_visits,
            eve_known=eve_known,
            as_scheduled=as_scheduled,
            target_as_scheduled=target_as_scheduled,
            log_prior_as_scheduled=log_prior_as_scheduled,
        )
        if self._open_visit_days + dataset.visit_days <= KEPT_VISIT_DAYS:
            self._open[number] = block
            self._open_visit_days += dataset.visit_days
        return block


def _parted(users: NDArray[np.int64], dataset: Dataset) -> list[NDArray[np.int64]]:
    """Divide users (indices, ascending) into blocks of about ``BLOCK_VISIT_DAYS``."""
    ends = np.cumsum(np.diff(dataset.offsets)[users])
    block = (ends - 1) // BLOCK_VISIT_DAYS
    return np.split(users, np.flatnonzero(np.diff(block)) + 1) if len(users) else []
