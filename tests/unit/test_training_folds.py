from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
from made_visits import made_dataset

from visitcast.data.protocol import split
from visitcast.errors import InputError
from visitcast.metrics import METRICS, Scores
from visitcast.training.folds import Fold, aggregate, describe, read_folds, spread, write_fold


def scores(log_loss: float | None) -> Scores:
    return {**dict.fromkeys(METRICS, 1.0), "log_loss": log_loss}


def fold(number: int, folds: int = 2, log_loss: float = 2.5) -> Fold:
    baselines = {"global_histogram": scores(3.0), "last_hour": scores(None)}
    return Fold(number, folds, {"test_starts": "2026-01-01"}, {"test": 10}, scores(log_loss), baselines)


def leave(folder: Path, job: str, one: Fold | None) -> Path:
    """What a fold's training job leaves under the prefix of all folds."""
    data, output = folder / f".{job}", folder / job / "output"
    output.mkdir(parents=True)
    if one is None:
        data.mkdir()
        (data / "learning_curve.csv").write_text("epoch\n")
    else:
        write_fold(data, one)
    with tarfile.open(output / "output.tar.gz", "w:gz") as tar:
        tar.add(data, arcname=".")
    (output / "model.tar.gz").write_bytes(b"never read")
    return output


def test_folds_come_back_in_order_whatever_their_jobs_are_called(tmp_path: Path) -> None:
    leave(tmp_path, "a", fold(2))
    leave(tmp_path, "b", fold(1, log_loss=2.25))
    assert read_folds(tmp_path, 2) == [fold(1, log_loss=2.25), fold(2)]


def test_a_job_tried_again_counts_once(tmp_path: Path) -> None:
    leave(tmp_path, "fold-1-0-abc", None)  # failed before its end
    leave(tmp_path, "fold-1-1-def", fold(1, folds=1))
    leave(tmp_path, "fold-1-2-ghi", fold(1, folds=1))
    assert read_folds(tmp_path, 1) == [fold(1, folds=1)]


@pytest.mark.parametrize("folds", [2, 3], ids=["one is missing", "they are of another number"])
def test_a_missing_fold_is_named(tmp_path: Path, folds: int) -> None:
    leave(tmp_path, "a", fold(2))
    with pytest.raises(InputError, match=rf"fold 1.* of {folds}"):
        read_folds(tmp_path, folds)


def test_a_broken_archive_is_named(tmp_path: Path) -> None:
    output = leave(tmp_path, "a", fold(1, folds=1))
    whole = (output / "output.tar.gz").read_bytes()
    (output / "output.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"output\.tar\.gz"):
        read_folds(tmp_path, 1)


def test_mean_and_spread_over_folds() -> None:
    found = aggregate([fold(1, 3, 2.0), fold(2, 3, 2.5), fold(3, 3, 3.0)])
    assert found.mean["log_loss"] == pytest.approx(2.5)
    assert found.std["log_loss"] == pytest.approx(0.5)
    assert found.baselines["global_histogram"].std["log_loss"] == 0
    assert found.differences["global_histogram"].mean["log_loss"] == pytest.approx(-0.5)
    assert found.differences["global_histogram"].std["log_loss"] == pytest.approx(0.5)
    assert found.differences["last_hour"].mean["log_loss"] is None


def test_one_fold_has_no_spread() -> None:
    found = spread([scores(2.0)])
    assert found.mean["log_loss"] == 2.0
    assert set(found.std.values()) == {None}


def test_a_fold_tells_its_dates_and_sizes() -> None:
    dataset = made_dataset(users=60, mean_days=40, seed=2)
    parts = split(dataset, 1, 2)
    found = describe(1, 2, parts, scores(2.0), {})
    assert found.rows == {"train": len(parts.train), "validation": len(parts.validation), "test": len(parts.test)}
    assert set(found.cut_offs) == {"validation_starts", "test_starts", "test_ends"}
    last = np.datetime64(int(dataset.visit_date[parts.test].max()), "D")
    assert np.datetime64(found.cut_offs["test_starts"]) <= last < np.datetime64(found.cut_offs["test_ends"])
