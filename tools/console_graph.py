"""Place the states of a state machine with ELK, for the console's picture of a run.

Fail states are not in the picture: nearly every task leads to one, so the console lists them beside it.

Usage: python tools/console_graph.py <folder with node_modules> train.asl.json console/console/graphs/train.json
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from asl_graph import Graph, kind_of, read_graph, unfolded

LAYOUT = Path(__file__).with_name("graph_layout") / "layout.mjs"
LINE_HEIGHT, PADDING, CHARACTER = 15, 12, 6.6
"""Pixels: of a line of a label, around it, and the mean width of a character in the console's 12 px type."""
CAPITAL = 9.0
LONGEST_LINE = 22
"""Characters; a longer name is broken into two or more lines."""
OPTIONS = {
    "elk.algorithm": "layered",
    "elk.direction": "DOWN",
    "elk.edgeRouting": "ORTHOGONAL",
    "elk.edgeLabels.inline": "false",
    "elk.spacing.nodeNode": "22",
    "elk.spacing.edgeNode": "14",
    "elk.spacing.edgeEdge": "9",
    "elk.spacing.edgeLabel": "3",
    "elk.layered.spacing.nodeNodeBetweenLayers": "22",
    "elk.layered.spacing.edgeNodeBetweenLayers": "10",
    "elk.layered.spacing.edgeEdgeBetweenLayers": "9",
    "elk.layered.considerModelOrder.strategy": "NODES_AND_EDGES",
    "elk.layered.cycleBreaking.strategy": "MODEL_ORDER",
    "elk.layered.nodePlacement.strategy": "NETWORK_SIMPLEX",
    "elk.layered.nodePlacement.favorStraightEdges": "true",
}


def main(folder: str, source: str, target: str) -> int:
    """Write the picture of one state machine."""
    machine = json.loads(Path(source).read_text(encoding="utf-8"))
    done = subprocess.run(
        ["node", str(LAYOUT), str(Path(folder).resolve())],
        input=json.dumps(elk_graph(read_graph(machine))),
        capture_output=True,
        text=True,
        check=True,
    )
    Path(target).write_text(json.dumps(picture(json.loads(done.stdout), machine), indent=1) + "\n", encoding="utf-8")
    return 0


def elk_graph(graph: Graph) -> dict[str, Any]:
    """Return the graph in ELK's JSON, each state as wide as its name."""
    children = []
    for name in graph.kinds:
        lines = broken(name)
        width = max(len(line) for line in lines) * CHARACTER + 2 * PADDING
        children.append({"id": name, "width": round(width), "height": len(lines) * LINE_HEIGHT + PADDING})
    edges = []
    for number, edge in enumerate(graph.edges):
        labels = []
        if edge.label and not edge.on_error:
            labels = [{"text": edge.label, "width": label_width(edge.label), "height": LINE_HEIGHT}]
        edges.append({"id": f"e{number}", "sources": [edge.source], "targets": [edge.target], "labels": labels})
    return {"id": "root", "layoutOptions": OPTIONS, "children": children, "edges": edges}


def label_width(text: str) -> float:
    """Return the width of an edge's label; capitals are wide."""
    return sum(CAPITAL if letter.isupper() else CHARACTER for letter in text) + 6


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


def picture(placed: dict[str, Any], machine: dict[str, Any]) -> dict[str, Any]:
    """Return what the console needs of a placed graph: states, edges with their corners, labels, Fail states."""
    states = dict(unfolded(machine["States"]))
    inner = {
        name
        for state in states.values()
        for part in [state.get("ItemProcessor", {}), *state.get("Branches", [])]
        for name in part.get("States", {})
    }
    edges, labels = [], []
    for edge in placed["edges"]:
        for section in edge["sections"]:
            corners = [section["startPoint"], *section.get("bendPoints", []), section["endPoint"]]
            edges.append(
                {
                    "from": edge["sources"][0],
                    "to": edge["targets"][0],
                    "points": [[round(at["x"], 1), round(at["y"], 1)] for at in corners],
                }
            )
        labels += [
            {"text": text["text"], "x": round(text["x"], 1), "y": round(text["y"], 1), "width": round(text["width"], 1)}
            for text in edge.get("labels", [])
        ]
    return {
        "width": round(placed["width"]),
        "height": round(placed["height"]),
        "states": [
            {
                "name": node["id"],
                "kind": kind_of(states[node["id"]]),
                "lines": broken(node["id"]),
                **{key: round(node[key], 1) for key in ("x", "y", "width", "height")},
            }
            for node in placed["children"]
        ],
        "edges": edges,
        "labels": labels,
        "inner": sorted(inner),
        "fails": [name for name, state in states.items() if state["Type"] == "Fail"],
    }


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
