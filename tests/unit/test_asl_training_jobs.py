"""What must hold for every training job of the state machine, whatever a deployment chooses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

DEFINITION = json.loads((Path(__file__).parents[2] / "statemachine" / "train.asl.json").read_text(encoding="utf-8"))


def tasks(machine: dict[str, Any], action: str) -> Iterator[Any]:
    """Yield the tasks of a machine, and of the maps in it, that make an API call."""
    for name, state in machine["States"].items():
        if "ItemProcessor" in state:
            yield from tasks(state["ItemProcessor"], action)
        elif state["Type"] == "Task" and f":sagemaker:{action}" in state["Resource"]:
            yield pytest.param(state["Parameters"], id=name)


@pytest.mark.parametrize("parameters", [*tasks(DEFINITION, "createTrainingJob")])
def test_no_spot_training_without_checkpoints(parameters: dict[str, Any]) -> None:
    assert parameters["EnableManagedSpotTraining.$"] == "$.run.Training.UseSpot"
    assert parameters["CheckpointConfig"].keys() == {"S3Uri.$"}


@pytest.mark.parametrize(
    "parameters", [*tasks(DEFINITION, "createTrainingJob"), *tasks(DEFINITION, "createHyperParameterTuningJob")]
)
def test_training_containers_have_no_network(parameters: dict[str, Any]) -> None:
    definition = parameters.get("TrainingJobDefinition", parameters)
    assert definition["EnableNetworkIsolation"] is True
    assert definition["RoleArn"] == "${JobRoleArn}"
    assert definition["${NetworkParameter}.$"] == "$.run.${NetworkParameter}"
