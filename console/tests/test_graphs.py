"""The pictures of the state machines show every state, and no label runs over another thing."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any
from xml.etree import ElementTree

import pytest
from console_client import ROOT
from hypothesis import given
from hypothesis import strategies as st
from state_graphs import definition, documents
from test_states import MACHINE

from console.graphs import draw
from console.graphs.drawing import path
from console.graphs.layouts import WORKFLOWS, column, layout, placed_by_elk
from console.graphs.states import read_graph

Box = tuple[float, float, float, float]
SVG = "{http://www.w3.org/2000/svg}"


def all_states(states: dict[str, Any]) -> set[str]:
    found = set(states)
    for state in states.values():
        for part in [state.get("ItemProcessor", {}), *state.get("Branches", [])]:
            found |= all_states(part.get("States", {}))
    return found


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_every_state_has_its_place(workflow: str) -> None:
    """`make graph` places them anew."""
    drawn = layout(definition(workflow))
    assert drawn is placed_by_elk(workflow)
    shown = {state["name"] for state in drawn["states"]} | set(drawn["inner"]) | set(drawn["fails"])
    # States that only end a branch inside are folded into the state after it.
    folded = {name for name in all_states(definition(workflow)["States"]) if name not in shown}
    assert folded <= {"Version in service"}
    assert shown <= all_states(definition(workflow)["States"])


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_every_transition_is_drawn(workflow: str) -> None:
    wanted = sorted((edge.source, edge.target) for edge in read_graph(definition(workflow)).edges)
    assert sorted((edge["from"], edge["to"]) for edge in placed_by_elk(workflow)["edges"]) == wanted


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


def assert_legible(drawn: dict[str, Any]) -> None:
    """No state or label lies on another, no line runs through a label, and all are within the picture."""
    for (one, (left, top, right, bottom)), (other, (x, y, end, low)) in combinations(boxes(drawn), 2):
        assert right <= x or end <= left or bottom <= y or low <= top, (one, other)
    for name, (left, top, right, bottom) in boxes(drawn):
        assert min(left, top) >= -1, name
        assert right <= drawn["width"] + 1, name
        assert bottom <= drawn["height"] + 1, name
    for label in drawn["labels"]:
        left, right = label["x"], label["x"] + label["width"]
        for edge in drawn["edges"]:
            for (x, y), (to_x, to_y) in zip(edge["points"], edge["points"][1:], strict=False):
                beside = max(x, to_x) <= left or min(x, to_x) >= right
                assert beside or max(y, to_y) <= label["y"] or min(y, to_y) >= label["y"] + 14, (label, edge)


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_the_projects_pictures_are_legible(workflow: str) -> None:
    assert_legible(placed_by_elk(workflow))


@pytest.mark.parametrize("machine", [MACHINE, *map(definition, WORKFLOWS)], ids=["small", *WORKFLOWS])
def test_a_column_is_legible_and_whole(machine: dict[str, Any]) -> None:
    graph = read_graph(machine)
    drawn = column(graph)
    assert_legible(drawn)
    assert {state["name"] for state in drawn["states"]} == set(graph.kinds)
    wanted = {(edge.source, edge.target, edge.on_error) for edge in graph.edges}
    assert {(edge["from"], edge["to"], edge["error"]) for edge in drawn["edges"]} == wanted


NAMES = [f"State {number}" for number in range(6)]


@st.composite
def machines(draw_: st.DrawFn) -> dict[str, Any]:
    count = draw_(st.integers(1, len(NAMES)))
    targets = st.sampled_from(NAMES[:count])
    states: dict[str, Any] = {}
    for name in NAMES[:count]:
        rules = [
            {"StringEquals": draw_(st.text("aB", max_size=9)), "Next": t} for t in draw_(st.lists(targets, max_size=4))
        ]
        catch = [{"ErrorEquals": ["E"], "Next": target} for target in draw_(st.lists(targets, max_size=2))]
        states[name] = {"Type": "Choice", "Choices": rules, "Default": draw_(targets), "Catch": catch}
    return {"StartAt": NAMES[0], "States": states}


@given(machines())
def test_any_column_is_legible(machine: dict[str, Any]) -> None:
    assert_legible(column(read_graph(machine)))


def test_a_state_machine_that_is_not_the_projects_is_drawn_too() -> None:
    svg = ElementTree.fromstring(draw(MACHINE, {"Ask": "caught", "Broken": "failed", "One": "succeeded"}))
    classes = {state.get("data-state"): state.get("class", "").split()[:2] for state in svg.iter(f"{SVG}g")}
    assert classes == {
        **{name: ["state", "idle"] for name in ("Ready?", "Wait", "Excuse", "Each", "Done & over")},
        "Ask": ["state", "caught"],
        "One": ["state", "succeeded"],
        "Broken": ["state", "failed"],
    }


def test_only_fail_states_leave_a_picture() -> None:
    ElementTree.fromstring(draw({"StartAt": "No", "States": {"No": {"Type": "Fail"}}}, {"No": "failed"}))


def test_a_picture_has_colours_for_light_and_dark_and_no_markup_of_names() -> None:
    machine = {"StartAt": "<b>", "States": {"<b>": {"Type": "Succeed"}}}
    text = draw(machine, title='"><script>')
    assert not re.search(r"<b>|<script>|var\(|light-dark", text)
    light, dark = text.split("@media (prefers-color-scheme: dark)")
    assert "fill: #fffefc" in light
    assert "fill: #1a1d20" in dark
    # Two pictures in one page share neither the marker's id nor a rule that holds outside.
    ids = [re.findall(r'id="([^"]+)"', draw(one)) for one in (machine, MACHINE)]
    assert ids[0] != ids[1]
    for rule in re.findall(r"(?m)^(.*)\{", text.partition("<style>")[2]):
        assert all(part.strip().startswith((".state-graph", "@media")) for part in rule.split(",")), rule


def test_the_documents_are_up_to_date() -> None:
    """`make graph` writes them anew."""
    for file, text in documents().items():
        assert file.read_text(encoding="utf-8") == text, file.relative_to(ROOT)


def test_a_path_has_round_corners() -> None:
    assert path([[0, 0], [0, 20], [30, 20]]) == "M0 0 L0 14 Q0 20 6 20 L30 20"
    assert path([[0, 0], [0, 20]]) == "M0 0 L0 20"
