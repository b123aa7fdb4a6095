"""The pictures of the state machines are right and up to date."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tools.asl_graph import Layout, lay_out, longest_path, main, mermaid, read_graph, svg

ROOT = Path(__file__).parents[2]
TRAIN = ROOT / "statemachine" / "train.asl.json"

MACHINE: dict[str, Any] = {
    "StartAt": "Ask",
    "States": {
        "Ask": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Next": "Ready?",
            "Catch": [{"ErrorEquals": ["No"], "Next": "Excuse"}, {"ErrorEquals": ["States.ALL"], "Next": "Broken"}],
        },
        "Excuse": {"Type": "Pass", "Next": "Done & over"},
        "Ready?": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.n", "NumericGreaterThan": 3, "Next": "Each"},
                {"Variable": "$.s", "StringEquals": "BAD", "Next": "Broken"},
            ],
            "Default": "Wait",
        },
        "Wait": {"Type": "Wait", "Seconds": 1, "Next": "Ask"},
        "Each": {
            "Type": "Map",
            "ItemProcessor": {"StartAt": "One", "States": {"One": {"Type": "Pass"}}},
            "Next": "Done & over",
        },
        "Done & over": {"Type": "Succeed"},
        "Broken": {"Type": "Fail"},
    },
}


MACHINES = [
    pytest.param(MACHINE, id="small"),
    *(
        pytest.param(json.loads(path.read_text()), id=path.name)
        for path in sorted((ROOT / "statemachine").glob("*.asl.json"))
    ),
]


def test_fail_states_are_folded_into_the_steps_that_reach_them() -> None:
    graph = read_graph(MACHINE)
    assert "Broken" not in graph.kinds
    assert graph.failures == {**{name: [] for name in graph.kinds}, "Ask": ["Broken"], "Ready?": ["Broken"]}
    assert [(e.source, e.target, e.label, e.on_error) for e in graph.edges] == [
        ("Ask", "Ready?", "", False),
        ("Ask", "Excuse", "on error", True),
        ("Excuse", "Done & over", "", False),
        ("Ready?", "Each", "> 3", False),
        ("Ready?", "Wait", "otherwise", False),
        ("Wait", "Ask", "", False),
        ("Each", "Done & over", "", False),
    ]


def test_the_steps_of_a_single_branch_are_drawn_like_any_other() -> None:
    branch = {
        "StartAt": "Call",
        "States": {
            "Call": {"Type": "Task", "Resource": "r", "Next": "Called", "Catch": [{"Next": "Refused"}]},
            "Called": {"Type": "Succeed"},
            "Refused": {"Type": "Fail", "Cause": "c"},
        },
    }
    around = {"Type": "Parallel", "Branches": [branch], "Catch": [{"Next": "Sorry"}], "Next": "Done"}
    states = {"Around": around, "Sorry": {"Type": "Fail", "Cause": "c"}, "Done": {"Type": "Succeed"}}
    graph = read_graph({"StartAt": "Around", "States": states})
    assert list(graph.kinds) == ["Around", "Call", "Called", "Done"]
    assert [(e.source, e.target) for e in graph.edges] == [("Around", "Call"), ("Call", "Called"), ("Called", "Done")]
    assert graph.failures == {"Around": ["Sorry"], "Call": ["Refused"], "Called": [], "Done": []}


@pytest.mark.parametrize("machine", MACHINES)
def test_layout_runs_downwards_and_no_two_boxes_share_a_place(machine: dict[str, Any]) -> None:
    graph = read_graph(machine)
    layout: Layout = lay_out(graph, machine["StartAt"])
    assert layout.row[machine["StartAt"]] == 0
    for edge in graph.edges:
        assert edge in layout.back or layout.row[edge.source] < layout.row[edge.target], edge
    places = [(layout.row[name], layout.lane[name]) for name in graph.kinds]
    assert len(set(places)) == len(places)
    spine = longest_path([e for e in graph.edges if e not in layout.back], layout.row, machine["StartAt"])
    assert graph.kinds[spine[-1]] == "Succeed"
    assert {layout.lane[name] for name in spine} == {0}


@pytest.mark.parametrize("machine", MACHINES)
def test_svg_shows_every_state_and_names_every_failure(machine: dict[str, Any]) -> None:
    picture = svg(read_graph(machine), machine["StartAt"], "A <title>")
    texts = [node.text or "" for node in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")]
    legend = texts[-1]
    for name, state in machine["States"].items():
        if state["Type"] == "Fail":
            assert f"✗ {name}" in texts or name in legend
        else:
            assert name in texts


@pytest.mark.parametrize("machine", MACHINES)
def test_mermaid_has_every_state_and_edge(machine: dict[str, Any]) -> None:
    graph = read_graph(machine)
    text = mermaid(graph, "Title", "x.asl.json")
    assert len(re.findall(r"^  s\d+ -(?:-|\.-)>", text, re.MULTILINE)) == len(graph.edges)
    assert all(f'"{name}' in text for name in graph.kinds)


def test_check_tells_a_stale_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    definition, picture = tmp_path / "m.asl.json", tmp_path / "sub" / "m.svg"
    definition.write_text(json.dumps(MACHINE))
    arguments = [str(definition), "--svg", str(picture)]
    assert main([*arguments, "--check"]) == 1
    assert main(arguments) == main([*arguments, "--check"]) == 0
    definition.write_text(json.dumps(MACHINE).replace("Excuse", "Regret"))
    assert main([*arguments, "--check"]) == 1
    assert "make graph" in capsys.readouterr().err


def test_the_pictures_in_the_documentation_are_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    definition = str(TRAIN.relative_to(ROOT))
    assert main([definition, "--svg", "docs/images/train.svg", "--mermaid", "docs/train-graph.md", "--check"]) == 0
