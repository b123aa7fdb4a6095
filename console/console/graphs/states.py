"""A state machine in Amazon States Language as a graph. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SYMBOLS = {"NumericGreaterThan": ">", "NumericGreaterThanEquals": "≥", "NumericLessThan": "<", "NumericEquals": "="}


@dataclass(frozen=True)
class Edge:
    """A transition from one state to another; `on_error` if it is a Catch."""

    source: str
    target: str
    label: str = ""
    on_error: bool = False


@dataclass(frozen=True)
class Graph:
    """A state machine without its Fail states.

    Attributes
    ----------
    kinds : dict
        Kind of each state, see `kind_of`, in the file's order.
    inner : dict
        States inside a Map or Parallel.
    edges : list of Edge
        Transitions between drawn states.
    failures : dict
        Fail states in which each state can end.
    everywhere : list of str
        Fail states in which most tasks can end; they are not in `failures`.
    fails : list of str
        All Fail states.
    """

    kinds: dict[str, str]
    inner: dict[str, list[str]]
    edges: list[Edge]
    failures: dict[str, list[str]]
    everywhere: list[str]
    fails: list[str]


def read_graph(machine: Mapping[str, Any]) -> Graph:
    """Read the graph of a state machine's top level."""
    states = dict(unfolded(machine["States"]))
    shown = {name: kind_of(state) for name, state in states.items() if state["Type"] != "Fail"}
    edges = [edge for name in shown for edge in edges_of(name, states[name])]
    failures: dict[str, list[str]] = {name: [] for name in shown}
    for edge in edges:
        if edge.target not in shown and edge.target not in failures[edge.source]:
            failures[edge.source].append(edge.target)
    catching = [name for name in shown if "Catch" in states[name]]
    everywhere = [
        name
        for name in states
        if name not in shown and len(catching) > 2 and sum(name in failures[c] for c in catching) > len(catching) / 2
    ]
    return Graph(
        kinds=shown,
        inner={name: list(inner_states(states[name])) for name in shown},
        edges=[edge for edge in edges if edge.target in shown],
        failures={name: [f for f in found if f not in everywhere] for name, found in failures.items()},
        everywhere=everywhere,
        fails=[name for name in states if name not in shown],
    )


def unfolded(states: dict[str, dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield all states, those of a Parallel with a single branch after it: they are steps like any other."""
    for name, state in states.items():
        match state.get("Branches"):
            case [branch]:
                yield name, {**state, "Branches": [], "Next": branch["StartAt"]}
                for inner, step in branch["States"].items():
                    yield inner, {**step, "Next": state["Next"]} if step["Type"] == "Succeed" else step
            case _:
                yield name, state


def kind_of(state: dict[str, Any]) -> str:
    """Return the kind of a state: its type, for a task the service that it calls."""
    resource = str(state.get("Resource", ""))
    if state["Type"] != "Task":
        return str(state["Type"])
    if ":lambda:" in resource:
        return "Lambda"
    if ":sagemaker:" in resource:
        return "SageMaker job" if resource.endswith(".sync") else "SageMaker"
    return "S3" if ":s3:" in resource else "Task"


def edges_of(name: str, state: dict[str, Any]) -> Iterator[Edge]:
    """Yield the transitions from a state, the main one first."""
    if "Next" in state:
        yield Edge(name, state["Next"])
    for rule in state.get("Choices", []):
        yield Edge(name, rule["Next"], rule_label(rule))
    if "Default" in state:
        yield Edge(name, state["Default"], "otherwise")
    for catch in state.get("Catch", []):
        yield Edge(name, catch["Next"], "on error", on_error=True)


def rule_label(rule: dict[str, Any]) -> str:
    """Return a short label for a choice rule with one comparison; empty for any other rule."""
    for operator, value in rule.items():
        if operator in SYMBOLS:
            return f"{SYMBOLS[operator]} {value}"
        if operator in ("StringEquals", "StringMatches", "BooleanEquals"):
            return str(value).strip("*")
    return ""


def inner_states(state: dict[str, Any]) -> Iterator[str]:
    """Yield the names of the states inside a Map or Parallel."""
    for part in [state.get("ItemProcessor", state.get("Iterator", {})), *state.get("Branches", [])]:
        yield from part.get("States", {})
