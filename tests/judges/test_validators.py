"""AWS's own validator of the states language (VS Code's) and two others find nothing in the state machines."""

from __future__ import annotations

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import mock_config
import pytest
from patience import patient
from programs import BIN, BUILD, missing

VALIDATORS = ("amazon-states-language-service", "asl-validator", "asl-path-validator")
MACHINES = {name: mock_config.definition(name) for name in ("TrainStateMachine", "ForecastStateMachine")}


def validate(definition: dict[str, Any]) -> dict[str, Any]:
    packages = BUILD / "npm"
    if not (packages / "node_modules").is_dir():
        missing("The validators: `make judge` installs them with npm, whose registry could not be reached.")
    done = subprocess.run(
        [str(BIN / "node"), str(Path(__file__).with_name("validate.mjs"))],
        cwd=packages,
        input=json.dumps(definition, indent=2),
        capture_output=True,
        text=True,
        check=False,
        timeout=patient(120),
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("machine", MACHINES)
def test_nothing_is_found(machine: str) -> None:
    found = validate(MACHINES[machine])
    assert found["findings"] == {name: [] for name in VALIDATORS}
    assert found["paths"] > 100


def test_each_validator_finds_a_mistake() -> None:
    broken = copy.deepcopy(MACHINES["ForecastStateMachine"])
    broken["States"]["Prepare forecast"]["Next"] = "No such state"
    broken["States"]["Prepare forecast"]["ResultPath"] = "$.all[*]"
    broken["States"]["Prepare forecast"]["Catch"][0]["ResultPath"] = "$.all[*]"
    found = validate(broken)["findings"]
    assert all(found[name] for name in VALIDATORS), found
