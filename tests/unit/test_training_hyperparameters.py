from __future__ import annotations

from dataclasses import fields

import pytest

from visitcast.errors import InputError
from visitcast.model.gru.hyperparameters import Hyperparameters
from visitcast.model.hyperparameters import parse
from visitcast.training.settings import Settings, parse_settings


def parsed(values: dict[str, str]) -> tuple[Settings, Hyperparameters]:
    """Read settings and hyperparameters of the GRU, as a training job does if that is its learner."""
    settings, hyperparameters = parse(values, (Settings, Hyperparameters))
    return settings, hyperparameters


def test_a_training_job_reads_its_settings_and_those_of_its_learner() -> None:
    settings, hyperparameters = parse_settings({"seed": "3"})
    assert settings == Settings(seed=3)
    assert hyperparameters.seed == 3


def test_strings_become_numbers_and_the_rest_keeps_its_default() -> None:
    settings, hyperparameters = parsed({"units": " 32 ", "learning_rate": "1e-3", "max_training_users": "500"})
    assert hyperparameters == Hyperparameters(units=32, learning_rate=0.001)
    assert settings == Settings(max_training_users=500)


def test_what_sagemaker_adds_in_a_tuning_job_is_left_out() -> None:
    _, hyperparameters = parsed({"units": "32", "_tuning_objective_metric": "final:validation_log_loss"})
    assert hyperparameters == Hyperparameters(units=32)


def test_an_unknown_name_is_refused_and_the_known_ones_are_listed() -> None:
    with pytest.raises(InputError) as caught:
        parsed({"epoch": "3"})
    assert "epoch" in caught.value.headline
    assert all(field.name in caught.value.cause for kind in (Settings, Hyperparameters) for field in fields(kind))


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        pytest.param({"epochs": "three"}, "epochs", id="not a number"),
        pytest.param({"epochs": "2.5"}, "epochs", id="not whole"),
        pytest.param({"epochs": "-1"}, "epochs", id="too small"),
        pytest.param({"dropout": "0.95"}, "dropout", id="too large"),
        pytest.param({"dropout": "nan"}, "dropout", id="not a number by IEEE"),
        pytest.param({"max_training_users": "-1"}, "max_training_users", id="fewer users than none"),
        pytest.param({"learning_rate": "inf"}, "learning_rate", id="infinite"),
        pytest.param({"fold": "3", "folds": "2"}, "fold", id="fold beyond folds"),
        pytest.param({"folds": "2"}, "fold", id="folds without a fold"),
    ],
)
def test_a_wrong_value_is_refused_by_name(values: dict[str, str], wrong: str) -> None:
    with pytest.raises(InputError) as caught:
        parsed(values)
    assert wrong in caught.value.headline


@pytest.mark.parametrize(
    ("rows", "epochs", "batch_size"),
    [
        pytest.param(0, 30, 512, id="no rows"),
        pytest.param(4_000, 30, 512, id="few: the most epochs"),
        pytest.param(20_000, 21, 512, id="some: enough steps"),
        pytest.param(99_999, 8, 512, id="the fewest epochs"),
        pytest.param(100_000, 17, 2048, id="many: large batches"),
        pytest.param(10**9, 8, 2048, id="more than enough"),
    ],
)
def test_few_rows_are_read_more_often_and_in_smaller_batches(rows: int, epochs: int, batch_size: int) -> None:
    assert Hyperparameters().for_rows(rows) == Hyperparameters(epochs=epochs, batch_size=batch_size)
    given = Hyperparameters(epochs=2, batch_size=128)
    assert given.for_rows(rows) == given
