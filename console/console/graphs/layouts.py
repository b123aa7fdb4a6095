"""Where the states, transitions and labels of a state machine lie in its picture. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from console.graphs.states import Edge, Graph, read_graph

WORKFLOWS = ("train", "forecast")
"""State machines that ELK has placed; each has a file here."""
LINE_HEIGHT, PADDING, CHARACTER, CAPITAL = 15, 12, 6.6, 9.0
"""Pixels: of a line of a label, around it, and the mean width of a letter in 12 px type; capitals are wide."""
LONGEST_LINE = 22
"""Characters; a longer name is broken into two or more lines."""
_GAP, _PORT, _LANE = 26, 18, 9
"""Pixels of a column: between two states, between two lines at a state, between two lines beside the states."""


@cache
def placed_by_elk(workflow: str) -> dict[str, Any]:
    """Return the layout of one of `WORKFLOWS`, as ``tools/state_graphs.py`` has written it."""
    found: dict[str, Any] = json.loads(Path(__file__).with_name(f"{workflow}.json").read_text(encoding="utf-8"))
    return found


def layout(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return the layout of any state machine: ELK's if it is one of the project's, else a column.

    Parameters
    ----------
    definition : mapping
        Amazon States Language.

    Returns
    -------
    dict
        Width and height; ``states`` with name, kind, lines, x, y, width, height; ``edges`` with from, to, error,
        points; ``labels`` with text, x, y, width; names of the ``inner`` and the ``fails`` states. All in pixels.
    """
    graph = read_graph(definition)
    wanted = _outline(graph)
    for workflow in WORKFLOWS:
        found = placed_by_elk(workflow)
        transitions = sorted((edge["from"], edge["to"], edge["error"]) for edge in found["edges"])
        if ({state["name"] for state in found["states"]}, transitions) == wanted:
            return found
    return column(graph)


def _outline(graph: Graph) -> tuple[set[str], list[tuple[str, str, bool]]]:
    return set(graph.kinds), sorted((edge.source, edge.target, edge.on_error) for edge in graph.edges)


def label_of(edge: Edge) -> str:
    """Return what is written beside a transition; a dashed line says "on error" without words."""
    return "" if edge.on_error else edge.label


def label_width(text: str) -> float:
    """Return the width of an edge's label in pixels."""
    return round(sum(CAPITAL if letter.isupper() else CHARACTER for letter in text) + 6, 1)


def state_size(name: str) -> tuple[int, int]:
    """Return the width and height of a state's box in pixels."""
    lines = broken(name)
    return round(max(map(len, lines)) * CHARACTER + 2 * PADDING), len(lines) * LINE_HEIGHT + PADDING


def broken(name: str) -> list[str]:
    """Break a state's name into lines.

    >>> broken("Wait for an instance to preprocess")
    ['Wait for an instance', 'to preprocess']
    """
    lines = [""]
    for word in name.split():
        longer = f"{lines[-1]} {word}".strip()
        if len(longer) <= LONGEST_LINE or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def column(graph: Graph) -> dict[str, Any]:
    """Place the states below one another, with the transitions beside them, each line in a lane of its own.

    Needs no layout program. A transition to the next state goes straight down; each other one leaves and enters on the
    right, at a place of its own, so that no line runs through a label.
    """
    order = list(graph.kinds)
    width = max((state_size(name)[0] for name in order), default=0)
    next_to = dict(pairwise(order))
    straight = {edge for edge in graph.edges if next_to.get(edge.source) == edge.target and not label_of(edge)}
    beside = [edge for edge in dict.fromkeys(graph.edges) if edge not in straight]
    leaves: dict[Edge, float] = {}
    enters: dict[Edge, float] = {}
    states: list[dict[str, Any]] = []
    y = 0.0
    for name in order:
        ports = [(leaves, edge) for edge in beside if edge.source == name]
        ports += [(enters, edge) for edge in beside if edge.target == name]
        height = max(state_size(name)[1], 2 * LINE_HEIGHT + _PORT * (len(ports) - 1))
        for number, (ends, edge) in enumerate(ports):
            ends[edge] = y + height / 2 + _PORT * (number - (len(ports) - 1) / 2)
        place = {"x": 0, "y": y, "width": width, "height": height}
        states.append({"name": name, "kind": graph.kinds[name], "lines": broken(name), **place})
        y += height + _GAP
    box = {state["name"]: state for state in states}
    edges: list[dict[str, Any]] = []
    for edge in (edge for edge in graph.edges if edge in straight):
        below = box[edge.target]["y"]
        points = [[width / 2, below - _GAP], [width / 2, below]]
        edges.append({"from": edge.source, "to": edge.target, "error": edge.on_error, "points": points})
    labels: list[dict[str, Any]] = [
        {"text": text, "x": width + 6, "y": leaves[edge] - LINE_HEIGHT, "width": label_width(text)}
        for edge, text in ((edge, label_of(edge)) for edge in beside)
        if text
    ]
    first_lane = width + 16 + max((label["width"] for label in labels), default=0)
    lanes = _lanes([(edge, leaves[edge], enters[edge]) for edge in beside])
    for edge in beside:
        x = first_lane + _LANE * lanes[edge]
        out, into = leaves[edge], enters[edge]
        points = [[width, out], [x, out], [x, into], [width, into]]
        edges.append({"from": edge.source, "to": edge.target, "error": edge.on_error, "points": points})
    return {
        "width": round(first_lane + _LANE * max(lanes.values(), default=0) + 2),
        "height": round(max(y - _GAP, 0)),
        "states": states,
        "edges": edges,
        "labels": labels,
        "inner": sorted({name for names in graph.inner.values() for name in names}),
        "fails": graph.fails,
    }


def _lanes(spans: Sequence[tuple[Edge, float, float]]) -> dict[Edge, int]:
    """Give each line the innermost lane in which it meets no other, short lines first."""
    taken: list[list[tuple[float, float]]] = []
    lanes: dict[Edge, int] = {}
    for edge, start, end in sorted(spans, key=lambda span: abs(span[1] - span[2])):
        low, high = min(start, end) - 4, max(start, end) + 4
        lane = next((n for n, used in enumerate(taken) if all(high <= a or b <= low for a, b in used)), len(taken))
        if lane == len(taken):
            taken.append([])
        taken[lane].append((low, high))
        lanes[edge] = lane
    return lanes
