"""Draw the state machines: places their states with ELK, then writes the pictures of console and documents.

Fail states are not in the pictures: nearly every task leads to one, so they are listed beside them.

Usage: python tools/state_graphs.py <folder with node_modules>
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from console.graphs import draw
from console.graphs.layouts import LINE_HEIGHT, WORKFLOWS, broken, label_of, label_width, placed_by_elk, state_size
from console.graphs.states import Graph, read_graph

ROOT = Path(__file__).parents[1]
LAYOUT = Path(__file__).with_name("graph_layout") / "layout.mjs"
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


def main(folder: str) -> int:
    """Write the layouts, then the documents that show them."""
    for workflow in WORKFLOWS:
        graph = read_graph(definition(workflow))
        done = subprocess.run(
            ["node", str(LAYOUT), str(Path(folder).resolve())],
            input=json.dumps(elk_graph(graph)),
            capture_output=True,
            text=True,
            check=True,
        )
        target = ROOT / f"console/console/graphs/{workflow}.json"
        target.write_text(json.dumps(picture(json.loads(done.stdout), graph), indent=1) + "\n", encoding="utf-8")
    placed_by_elk.cache_clear()
    for file, text in documents().items():
        file.write_text(text, encoding="utf-8")
    return 0


def definition(workflow: str) -> dict[str, Any]:
    """Read a state machine of the project."""
    found: dict[str, Any] = json.loads((ROOT / f"statemachine/{workflow}.asl.json").read_text(encoding="utf-8"))
    return found


def documents() -> dict[Path, str]:
    """Return the documents that are made from the layouts, by file."""
    found = {}
    for workflow in WORKFLOWS:
        machine = definition(workflow)
        found[ROOT / f"docs/images/{workflow}.svg"] = draw(machine, title=f"Workflow {workflow}")
        found[ROOT / f"docs/{workflow}-graph.md"] = page(read_graph(machine), workflow)
    return found


def elk_graph(graph: Graph) -> dict[str, Any]:
    """Return the graph in ELK's JSON, each state as wide as its name."""
    children = [
        {"id": name, "width": width, "height": height}
        for name, (width, height) in ((name, state_size(name)) for name in graph.kinds)
    ]
    edges = []
    for number, edge in enumerate(graph.edges):
        text = label_of(edge)
        labels = [{"text": text, "width": label_width(text), "height": LINE_HEIGHT}] if text else []
        edges.append({"id": f"e{number}", "sources": [edge.source], "targets": [edge.target], "labels": labels})
    return {"id": "root", "layoutOptions": OPTIONS, "children": children, "edges": edges}


def picture(placed: dict[str, Any], graph: Graph) -> dict[str, Any]:
    """Return the layout as :func:`console.graphs.layouts.layout` describes it."""
    edges, labels = [], []
    for edge, drawn in zip(graph.edges, placed["edges"], strict=True):
        for section in drawn["sections"]:
            corners = [section["startPoint"], *section.get("bendPoints", []), section["endPoint"]]
            points = [[round(at["x"], 1), round(at["y"], 1)] for at in corners]
            edges.append({"from": edge.source, "to": edge.target, "error": edge.on_error, "points": points})
        labels += [
            {"text": text["text"], **{key: round(text[key], 1) for key in ("x", "y", "width")}}
            for text in drawn.get("labels", [])
        ]
    return {
        "width": round(placed["width"]),
        "height": round(placed["height"]),
        "states": [
            {
                "name": node["id"],
                "kind": graph.kinds[node["id"]],
                "lines": broken(node["id"]),
                **{key: round(node[key], 1) for key in ("x", "y", "width", "height")},
            }
            for node in placed["children"]
        ],
        "edges": edges,
        "labels": labels,
        "inner": sorted({name for names in graph.inner.values() for name in names}),
        "fails": graph.fails,
    }


def page(graph: Graph, workflow: str) -> str:
    """Write a document: the picture, the states inside others, and the failures of each step."""
    lines = [
        f"# Workflow {workflow}",
        "",
        f"Drawn from `statemachine/{workflow}.asl.json` by `make graph`; do not edit.",
        "",
        f"![The states of the workflow and the transitions between them](images/{workflow}.svg)",
        "",
        "Green boxes are jobs on SageMaker and Maps, dashed boxes are choices; a dashed line is taken on an error.",
        "Fail states are in the table, not in the picture.",
        "",
    ]
    lines += [f"Inside *{name}*: {', '.join(names)}.\n" for name, names in graph.inner.items() if names]
    lines += ["| step | can end in |", "| --- | --- |"]
    lines += [f"| {name} | {', '.join(found)} |" for name, found in graph.failures.items() if found]
    if graph.everywhere:
        lines += ["", f"Every task can also end in: {', '.join(graph.everywhere)}."]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
