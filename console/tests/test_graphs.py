"""The pictures of the state machines show every state, and no label runs over another thing."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

import pytest
from asl_graph import read_graph
from console_client import ROOT

from console.charts import graph, path

WORKFLOWS = ("train", "forecast")
Box = tuple[float, float, float, float]


def machine(workflow: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / f"statemachine/{workflow}.asl.json").read_text())
    return found


def all_states(states: dict[str, Any]) -> set[str]:
    found = set(states)
    for state in states.values():
        for part in [state.get("ItemProcessor", {}), *state.get("Branches", [])]:
            found |= all_states(part.get("States", {}))
    return found


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_every_state_has_its_place(workflow: str) -> None:
    """`make console-graph` places them anew."""
    drawn = graph(workflow)
    shown = {state["name"] for state in drawn["states"]} | set(drawn["inner"]) | set(drawn["fails"])
    # States that only end a branch inside are folded into the state after it.
    folded = {name for name in all_states(machine(workflow)["States"]) if name not in shown}
    assert folded <= {"Version in service"}
    assert shown <= all_states(machine(workflow)["States"])


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_every_transition_is_drawn(workflow: str) -> None:
    wanted = sorted((edge.source, edge.target) for edge in read_graph(machine(workflow)).edges)
    assert sorted((edge["from"], edge["to"]) for edge in graph(workflow)["edges"]) == wanted


def boxes(drawn: dict[str, Any]) -> list[tuple[str, Box]]:
    states = [
        (state["name"], (state["x"], state["y"], state["x"] + state["width"], state["y"] + state["height"]))
        for state in drawn["states"]
    ]
    labels = [
        (label["text"], (label["x"], label["y"], label["x"] + label["width"], label["y"] + 14))
        for label in drawn["labels"]
    ]
    return states + labels


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_no_state_or_label_lies_on_another(workflow: str) -> None:
    for (one, (left, top, right, bottom)), (other, (x, y, end, low)) in combinations(boxes(graph(workflow)), 2):
        assert right <= x or end <= left or bottom <= y or low <= top, (one, other)


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_no_line_runs_through_a_label(workflow: str) -> None:
    drawn = graph(workflow)
    for label in drawn["labels"]:
        left, right = label["x"], label["x"] + label["width"]
        for edge in drawn["edges"]:
            for (x, y), (to_x, to_y) in zip(edge["points"], edge["points"][1:], strict=False):
                beside = max(x, to_x) <= left or min(x, to_x) >= right
                assert beside or max(y, to_y) <= label["y"] or min(y, to_y) >= label["y"] + 14, (label, edge)


def test_a_path_has_round_corners() -> None:
    assert path([[0, 0], [0, 20], [30, 20]]) == "M0 0 L0 14 Q0 20 6 20 L30 20"
    assert path([[0, 0], [0, 20]]) == "M0 0 L0 20"
