"""Complete a dataset: write the transformer and the manifest from the parts of all instances."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import sklearn

from visitcast.data import protocol, schema
from visitcast.data.calendar import date_of
from visitcast.data.dataset import TRANSFORMER_FILE
from visitcast.data.manifest import Counts, CutOffs, Manifest, write_manifest
from visitcast.data.validation import ROWS_SHOWN
from visitcast.errors import InputError
from visitcast.features.day_statistics import DayStatistics, merge
from visitcast.features.pipeline import FeaturePipeline
from visitcast.preprocessing.part import Part


def complete(folder: Path, parts: Sequence[Part]) -> Counts:
    """Write ``transformer.joblib`` and ``manifest.json``. The shards themselves are not read.

    Parameters
    ----------
    folder : Path
        An existing folder.
    parts : sequence of Part
        Those of all instances.

    Returns
    -------
    Counts
        Sizes, as in the manifest.

    Raises
    ------
    InputError
        No visits, too few, or a user in two parts.
    """
    require_each_user_once(parts)
    statistics = merge([part.statistics for part in parts])
    if not len(statistics.dates):
        raise InputError(
            "The source SQL found no visits.",
            f"{len(parts)} instances read no row.",
            "Check that the events table holds data for the dates that the SQL reads.",
        )
    cuts = protocol.cut_dates(statistics.dates, statistics.eligible)
    counts = _count(parts, statistics, cuts)
    protocol.require_enough(counts.train_rows, counts.validation_rows, counts.test_rows)
    pipeline = FeaturePipeline(before=cuts.validation_starts).fit_statistics(statistics)
    joblib.dump(pipeline, folder / TRANSFORMER_FILE)
    manifest = Manifest(
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        as_of=max(part.as_of for part in parts),
        columns=list(schema.VISITS_COLUMNS),
        feature_names=pipeline.get_feature_names_out().tolist(),
        shards=[shard for part in parts for shard in part.shards],
        counts=counts,
        cut_offs=CutOffs(*(date_of(day).isoformat() for day in (cuts.validation_starts, cuts.test_starts))),
        versions={
            "python": platform.python_version(),
            "numpy": np.__version__,
            "pandas": pd.__version__,
            "pyarrow": pa.__version__,
            "scikit-learn": sklearn.__version__,
        },
    )
    write_manifest(folder, manifest)
    return counts


def require_each_user_once(parts: Sequence[Part]) -> None:
    """Refuse a user in two parts; the readers check this within an instance.

    Raises
    ------
    InputError
        Users are in two parts. Up to five are named by a shard and their position in it.
    """
    hashed = np.concatenate([part.user_hashes for part in parts])
    order = np.argsort(hashed, kind="stable")
    repeated = order[1:][np.diff(hashed[order]) == 0]
    if len(repeated) == 0:
        return
    shards = [shard for part in parts for shard in part.shards]
    ends = np.cumsum([shard.users for shard in shards])
    named = []
    for user in np.sort(repeated)[:ROWS_SHOWN].tolist():
        number = int(np.searchsorted(ends, user, side="right"))
        named.append(f"{shards[number].file} user {user - int(ends[number]) + shards[number].users + 1}")
    raise InputError(
        'The visits break the rule "one file per user" (user_id).',
        f"All visits of a user must reach the same instance. {len(repeated):,} users are in two: {'; '.join(named)}.",
        "Unload the source SQL once, into an empty folder; shard CSV files by user.",
    )


def _count(parts: Sequence[Part], statistics: DayStatistics, cuts: protocol.CutDates) -> Counts:
    dates, eligible = statistics.dates, statistics.eligible
    train = dates < cuts.validation_starts
    test = dates >= cuts.test_starts
    return Counts(
        users=sum(len(part.user_hashes) for part in parts),
        visit_days=int(statistics.visit_days.sum()),
        train_rows=int(eligible[train].sum()),
        validation_rows=int(eligible[~train & ~test].sum()),
        test_rows=int(eligible[test].sum()),
    )
