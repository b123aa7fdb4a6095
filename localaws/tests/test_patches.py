"""Every name of moto that the region replaces still exists: moto may have moved it in another version."""

from __future__ import annotations

from pathlib import Path

import pytest

from localaws.patches import (
    Patch,
    cloudformation,
    codebuild,
    events,
    lambda_runtime,
    requests,
    scheduler,
    stepfunctions,
)
from localaws.settings import Settings

SETTINGS = Settings(region="eu-central-1", account_id="123456789012", port=1, home=Path("unused"))
PATCHES = [
    *requests.patches(),
    *scheduler.patches(),
    *(
        patch
        for service in (cloudformation, codebuild, events, lambda_runtime, stepfunctions)
        for patch in service.patches(SETTINGS)
    ),
]


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.target)
def test_a_patched_name_exists_in_moto(patch: Patch) -> None:
    owner, name, _ = patch.locate()
    assert hasattr(owner, name)


def test_no_name_is_patched_twice() -> None:
    targets = [patch.target for patch in PATCHES]
    assert len(set(targets)) == len(targets)


def test_a_name_that_is_gone_is_an_error() -> None:
    with pytest.raises(AttributeError):
        Patch("moto.cloudformation.models:Stack.no_such_name", "", lambda original: original).locate()


def test_applying_twice_wraps_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from localaws import patches

    monkeypatch.setattr(patches, "_applied", set())
    target = "moto.cloudformation.utils:random_suffix"
    original = Patch(target, "", lambda function: function).locate()[2]
    monkeypatch.setattr("moto.cloudformation.utils.random_suffix", original)
    patch = Patch(target, "", lambda function: lambda: f"wrapped {function()}")
    patch.apply()
    patch.apply()
    assert patch.locate()[2]().count("wrapped") == 1
