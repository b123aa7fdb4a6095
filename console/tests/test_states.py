"""The graph of a state machine, read from its definition."""

from __future__ import annotations

from typing import Any

from console.graphs.states import read_graph

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
