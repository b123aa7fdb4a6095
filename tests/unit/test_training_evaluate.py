from __future__ import annotations

from pathlib import Path

import pytest

from visitcast import paths
from visitcast.errors import InputError
from visitcast.evaluation.gate import Limits
from visitcast.evaluation.job import FOLDS_VARIABLE, parse_arguments, read_cross_validation


@pytest.fixture
def folds_channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(paths.ROOT_VARIABLE, str(tmp_path))
    folder = paths.evaluation_folds()
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("folds", [None, "", "0"])
def test_without_folds_the_channel_is_not_read(
    folds: str | None, folds_channel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folds_channel / "output.tar.gz").write_bytes(b"a dummy, since a channel cannot be left out")
    if folds is None:
        monkeypatch.delenv(FOLDS_VARIABLE, raising=False)
    else:
        monkeypatch.setenv(FOLDS_VARIABLE, folds)
    assert read_cross_validation() is None


@pytest.mark.parametrize(
    ("folds", "said"),
    [pytest.param("2", "fold 1, 2 of 2", id="folds missing"), pytest.param("two", "not a number", id="no number")],
)
def test_folds_that_are_wanted_must_be_there(
    folds: str, said: str, folds_channel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDS_VARIABLE, folds)
    with pytest.raises(InputError, match=said):
        read_cross_validation()


def test_limits_are_read_from_the_arguments() -> None:
    assert parse_arguments([]) == (Limits(), 0)
    arguments = ["--max-rmse-hours", "5.5", "--max-mae-hours", "none", "--must-beat", "last_hour,tuned_histogram"]
    arguments += [
        "--must-hold-in-cross-validation",
        "true",
        "--non-inferiority-margin",
        "0.01",
        "--article-model-epochs",
        "2",
    ]
    assert parse_arguments(arguments) == (Limits(5.5, None, ("last_hour", "tuned_histogram"), True, 0.01), 2)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--must-beat", "everyone"], id="unknown baseline"),
        pytest.param(["--max-rmse-hours", "many"], id="no number"),
        pytest.param(["--must-hold-in-cross-validation", "yes"], id="neither true nor false"),
        pytest.param(["--must-win"], id="unknown argument"),
        pytest.param(["--must-beat", "article_gru"], id="baseline that is not fitted"),
    ],
)
def test_bad_arguments_are_refused(arguments: list[str]) -> None:
    with pytest.raises(InputError, match="in the execution input"):
        parse_arguments(arguments)
