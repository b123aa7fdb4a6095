"""The settings file: its entries, and errors in it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from localaws.settings import Settings, SettingsError, load

GOOD = """
[region]
name = "eu-central-1"
account_id = "123456789012"
wait_scale = 0.5

[jobs]
root_variable = "ROOT"

[images.trainer]
workdir = "code"
command = ["python", "-m", "train"]

[images.shell]
command = ["sh", "-c", "true"]

[quotas]
"ml.m5.xlarge for training job usage" = 0
"""


def written(directory: Path, text: str) -> Path:
    path = directory / "localaws.toml"
    path.write_text(text)
    (directory / "code").mkdir(exist_ok=True)
    return path


def test_settings_are_read_relative_to_their_file(tmp_path: Path) -> None:
    settings = load(written(tmp_path, GOOD), port=1234, home=tmp_path / "home")
    assert (settings.region, settings.account_id, settings.port) == ("eu-central-1", "123456789012", 1234)
    assert (settings.wait_scale, settings.retry_scale, settings.root_variable) == (0.5, 1.0, "ROOT")
    assert settings.endpoint_url == "http://127.0.0.1:1234"
    assert settings.images["trainer"].workdir == tmp_path / "code"
    assert settings.images["trainer"].command == (sys.executable, "-m", "train")
    assert settings.images["shell"].command[0] == "sh"
    assert settings.images["shell"].workdir == tmp_path
    assert settings.quotas == {"ml.m5.xlarge for training job usage": 0}


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('name = "eu-central-1"', 'name = "nowhere"', "region.name"),
        ('name = "eu-central-1"', "", "region.name"),
        ('account_id = "123456789012"', "account_id = 123456789012", "region.account_id"),
        ("wait_scale = 0.5", "wait_scale = 2", "region.wait_scale"),
        ("wait_scale = 0.5", "wait_scale = true", "region.wait_scale"),
        ("wait_scale = 0.5", "waitscale = 0.5", "'waitscale'"),
        ('root_variable = "ROOT"', 'root_variable = "A B"', "jobs.root_variable"),
        ('workdir = "code"', 'workdir = "nothing"', "images.trainer.workdir"),
        ('command = ["sh", "-c", "true"]', 'command = "sh"', "images.shell.command"),
        ('command = ["sh", "-c", "true"]', "command = []", "images.shell.command"),
        ("training job usage", "trainings", "'ml.m5.xlarge for trainings'"),
        ('usage" = 0', 'usage" = -1', "'ml.m5.xlarge for training job usage' is -1"),
        ('usage" = 0', 'usage" = false', "'ml.m5.xlarge for training job usage' is False"),
        ("[jobs]", "[job]", "'job'"),
        ("[jobs]", "[jobs", "not valid TOML"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_wrong_entry_is_named_with_the_file(tmp_path: Path, old: str, new: str, named: str) -> None:
    assert old in GOOD
    path = written(tmp_path, GOOD.replace(old, new))
    with pytest.raises(SettingsError) as raised:
        load(path)
    assert named in str(raised.value)
    assert str(path) in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--config"):
        load(tmp_path / "none.toml")


def test_children_see_the_region_and_little_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("SECRET_OF_THE_CALLER", "x")
    settings = Settings(region="eu-central-1", account_id="123456789012", port=1, home=tmp_path)
    environment = settings.child_environment()
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert environment["AWS_REGION"] == environment["AWS_DEFAULT_REGION"] == "eu-central-1"
    assert "PATH" in environment
    assert not {"AWS_PROFILE", "SECRET_OF_THE_CALLER"} & set(environment)
