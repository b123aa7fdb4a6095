"""Draw a state machine in Amazon States Language as SVG, and as Mermaid with a table of its failures.

The happy path runs down the middle, branches on the left. Fail states are not drawn but listed beside the steps that
can end in them, so that the picture stays readable. The same file always gives the same picture, byte for byte.

Usage: python tools/asl_graph.py train.asl.json --svg train.svg --mermaid train.md [--check]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

BOX_WIDTH, BOX_HEIGHT, ROW = 232, 38, 62
LANE = BOX_WIDTH + 64
MARGIN, NOTE_WIDTH, NOTE_LINE = 16, 250, 15
LINE, NOTE = "#7d8590", "#d4484f"  # legible on white and on black
COLOURS = {
    "Lambda": ("#f6a04d", "#3b2100"),
    "SageMaker job": ("#58a6c9", "#04202c"),
    "SageMaker": ("#a9d3e6", "#04202c"),
    "S3": ("#8fcf8f", "#06280a"),
    "Task": ("#c9b8ef", "#1e0c3f"),
    "Choice": ("#f2d76b", "#332900"),
    "Wait": ("#d5dae0", "#20262c"),
    "Pass": ("#d5dae0", "#20262c"),
    "Map": ("#58a6c9", "#04202c"),
    "Parallel": ("#58a6c9", "#04202c"),
    "Succeed": ("#57ab5a", "#03210a"),
}
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
        Kind of each state, a key of `COLOURS`, in the file's order.
    inner : dict
        States inside a Map or Parallel.
    edges : list of Edge
        Transitions between drawn states.
    failures : dict
        Fail states in which each state can end.
    everywhere : list of str
        Fail states in which most tasks can end; they are not in `failures`.
    """

    kinds: dict[str, str]
    inner: dict[str, list[str]]
    edges: list[Edge]
    failures: dict[str, list[str]]
    everywhere: list[str]


def read_graph(machine: dict[str, Any]) -> Graph:
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


# --- layout


@dataclass(frozen=True)
class Layout:
    """Row (from the top) and lane (0 in the middle, others to its left) of each state, and the edges that lead back."""

    row: dict[str, int]
    lane: dict[str, int]
    back: set[Edge]


def lay_out(graph: Graph, start: str) -> Layout:
    """Assign rows by the longest path from the start; the longest path of all is lane 0."""
    back = back_edges(graph, start)
    forward = [edge for edge in graph.edges if edge not in back]
    row = dict.fromkeys(graph.kinds, 0)
    for _ in graph.kinds:  # longest paths in an acyclic graph take at most one round per state
        for edge in forward:
            row[edge.target] = max(row[edge.target], row[edge.source] + 1)
    spine = longest_path(forward, row, start)
    lane = dict.fromkeys(spine, 0)
    for name in sorted(graph.kinds, key=lambda name: row[name]):
        if name not in lane:
            taken = {lane[other] for other in lane if row[other] == row[name]}
            lane[name] = next(k for k in range(1, len(graph.kinds) + 1) if k not in taken)
    return Layout(row, lane, back)


def back_edges(graph: Graph, start: str) -> set[Edge]:
    """Return the edges that close a loop: those to a state that the depth-first walk has entered but not left."""
    back: set[Edge] = set()
    open_states: list[str] = []
    seen: set[str] = set()

    def walk(name: str) -> None:
        seen.add(name)
        open_states.append(name)
        for edge in graph.edges:
            if edge.source != name:
                continue
            if edge.target in open_states:
                back.add(edge)
            elif edge.target not in seen:
                walk(edge.target)
        open_states.pop()

    walk(start)
    return back


def longest_path(forward: Sequence[Edge], row: dict[str, int], start: str) -> list[str]:
    """Return a longest path from the start that prefers other transitions to error handling."""
    below = dict.fromkeys(row, 0)
    for edge in sorted(forward, key=lambda edge: -row[edge.source]):
        below[edge.source] = max(below[edge.source], below[edge.target] + 1)
    path = [start]
    while steps := [edge for edge in forward if edge.source == path[-1]]:
        # A Catch is never the main transition, however long the path behind it.
        path.append(max(steps, key=lambda edge: (not edge.on_error, below[edge.target])).target)
    return path


# --- SVG


def svg(graph: Graph, start: str, title: str) -> str:
    """Render the graph as a stand-alone SVG."""
    layout = lay_out(graph, start)
    lanes = max(layout.lane.values()) + 1
    left_notes = any(graph.failures[name] for name, lane in layout.lane.items() if lane)
    left = MARGIN + (NOTE_WIDTH - 60 if left_notes else 0)
    centre = {name: left + BOX_WIDTH / 2 + (lanes - 1 - lane) * LANE for name, lane in layout.lane.items()}
    middle = {name: MARGIN + BOX_HEIGHT / 2 + row * ROW for name, row in layout.row.items()}
    width = left + (lanes - 1) * LANE + BOX_WIDTH + 40 + NOTE_WIDTH
    height = MARGIN + max(layout.row.values()) * ROW + BOX_HEIGHT + 44
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" font-family="Helvetica, Arial, sans-serif">',
        f"<title>{escape(title)}</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0.8 L7.4 4 L0 7.2 Z" fill="{LINE}"/></marker></defs>',
    ]
    parts += [edge_svg(edge, layout, centre, middle) for edge in graph.edges]
    for name, kind in graph.kinds.items():
        parts.append(box_svg(name, kind, graph.inner[name], centre[name], middle[name]))
        parts += notes_svg(graph.failures[name], centre[name], middle[name], on_left=layout.lane[name] > 0)
    legend = "Red: the Fail states that a step can end in. Dashed: taken on an error."
    if graph.everywhere:
        legend += f" Every task can also end in: {', '.join(graph.everywhere)}."
    parts.append(f'<text x="{MARGIN}" y="{height - 12:g}" font-size="12" fill="{LINE}">{escape(legend)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def box_svg(name: str, kind: str, inner: Sequence[str], x: float, y: float) -> str:
    """Draw one state: a choice is pointed, a wait and an end are round, a Map is a stack."""
    fill, ink = COLOURS[kind]
    left, top, right, bottom = x - BOX_WIDTH / 2, y - BOX_HEIGHT / 2, x + BOX_WIDTH / 2, y + BOX_HEIGHT / 2
    if kind == "Choice":
        points = f"{left:g},{y:g} {left + 14:g},{top:g} {right - 14:g},{top:g} {right:g},{y:g} "
        points += f"{right - 14:g},{bottom:g} {left + 14:g},{bottom:g}"
        shape = f'<polygon points="{points}" fill="{fill}"/>'
    else:
        radius = BOX_HEIGHT / 2 if kind in ("Wait", "Succeed") else 5
        shape = rectangle(left, top, radius, fill)
        if kind in ("Map", "Parallel"):
            under = rectangle(left + 5, top + 5, radius, fill).replace("/>", ' opacity="0.55"/>')
            shape = under + shape
    caption = f"{kind}: {', '.join(inner)}" if inner else kind
    bare = kind in ("Choice", "Succeed")
    text = f'<text x="{x:g}" y="{y + (4.5 if bare else -1):g}" font-size="13.5" font-weight="600" '
    text += f'text-anchor="middle" fill="{ink}">{escape(name)}</text>'
    if not bare:
        text += f'<text x="{x:g}" y="{y + 13:g}" font-size="10" text-anchor="middle" fill="{ink}" '
        text += f'opacity="0.8">{escape(caption)}</text>'
    return f"<g>{shape}{text}</g>"


def rectangle(left: float, top: float, radius: float, fill: str) -> str:
    """Draw a box of the common size."""
    size = f'width="{BOX_WIDTH}" height="{BOX_HEIGHT}"'
    return f'<rect x="{left:g}" y="{top:g}" {size} rx="{radius:g}" fill="{fill}"/>'


def notes_svg(failures: Sequence[str], x: float, y: float, *, on_left: bool) -> list[str]:
    """Write the Fail states of one step beside it."""
    anchor, at = ("end", x - BOX_WIDTH / 2 - 12) if on_left else ("start", x + BOX_WIDTH / 2 + 40)
    first = y + 4 - (len(failures) - 1) * NOTE_LINE / 2
    return [
        f'<text x="{at:g}" y="{first + n * NOTE_LINE:g}" font-size="11.5" text-anchor="{anchor}" '
        f'fill="{NOTE}">✗ {escape(failure)}</text>'
        for n, failure in enumerate(failures)
    ]


def edge_svg(edge: Edge, layout: Layout, centre: dict[str, float], middle: dict[str, float]) -> str:
    """Draw one edge: straight down, around the right (loops), around the left (shortcuts) or into another lane."""
    a, b, half, side = edge.source, edge.target, BOX_HEIGHT / 2, BOX_WIDTH / 2
    xa, ya, xb, yb = centre[a], middle[a], centre[b], middle[b]
    if edge in layout.back:
        out = max(xa, xb) + side + 22
        path = rounded([(xa + side, ya), (out, ya), (out, yb), (xb + side + 2, yb)])
        label = (out - 5, (ya + yb) / 2, "middle")
    elif layout.lane[a] == layout.lane[b] and not between(layout, a, b):
        path = rounded([(xa, ya + half), (xb, yb - half - 2)])
        label = (xa + 6, ya + half + 15, "start")
    elif layout.lane[a] == layout.lane[b]:
        out = xa - side - 22
        path = rounded([(xa - side, ya), (out, ya), (out, yb), (xb - side - 2, yb)])
        label = (xa - side - 4, ya - 5, "end")
    elif layout.lane[b] > layout.lane[a]:  # out to the left, then down
        path = rounded([(xa - side, ya), (xb, ya), (xb, yb - half - 2)])
        label = (xa - side - 4, ya - 5, "end")
    else:  # down, then back in from the left
        path = rounded([(xa, ya + half), (xa, yb), (xb - side - 2, yb)])
        label = (xa + 6, ya + half + 15, "start")
    dash = ' stroke-dasharray="4 3"' if edge.on_error else ""
    drawn = f'<path d="{path}" fill="none" stroke="{LINE}" stroke-width="1.5"{dash} marker-end="url(#tip)"/>'
    if edge.label:
        x, y, anchor = label
        turned = f' transform="rotate(-90 {x:g} {y:g})"' if edge in layout.back else ""
        drawn += f'<text x="{x:g}" y="{y:g}" font-size="10.5" font-style="italic" text-anchor="{anchor}" '
        drawn += f'fill="{LINE}"{turned}>{escape(edge.label)}</text>'
    return drawn


def between(layout: Layout, above: str, below: str) -> bool:
    """Return whether there is a box between two boxes of one lane."""
    rows = range(layout.row[above] + 1, layout.row[below])
    return any(layout.row[name] in rows for name, lane in layout.lane.items() if lane == layout.lane[above])


def rounded(points: Sequence[tuple[float, float]]) -> str:
    """Return an SVG path through right-angled points with rounded corners."""
    path = f"M{points[0][0]:g} {points[0][1]:g}"
    for (x0, y0), (x, y), (x1, y1) in zip(points, points[1:], points[2:], strict=False):
        before, after = towards(x, y, x0, y0), towards(x, y, x1, y1)
        path += f" L{before[0]:g} {before[1]:g} Q{x:g} {y:g} {after[0]:g} {after[1]:g}"
    return path + f" L{points[-1][0]:g} {points[-1][1]:g}"


def towards(x: float, y: float, to_x: float, to_y: float, most: float = 8) -> tuple[float, float]:
    """Return the point a few pixels from one corner towards the next."""
    length = max(abs(to_x - x) + abs(to_y - y), 1e-9)
    share = min(most / length, 0.5)
    return x + (to_x - x) * share, y + (to_y - y) * share


# --- Mermaid


def mermaid(graph: Graph, title: str, source: str) -> str:
    """Render the graph as Markdown: a Mermaid flowchart and a table of the failures of each step."""
    ids = {name: f"s{n}" for n, name in enumerate(graph.kinds)}
    shapes = {"Choice": ("{{", "}}"), "Wait": ("([", "])"), "Succeed": ("([", "])"), "Map": ("[[", "]]")}
    lines = [f"# {title}", "", f"Drawn from `{source}` by `make graph`; do not edit.", "", "```mermaid", "flowchart TD"]
    for name, kind in graph.kinds.items():
        opens, closes = shapes.get(kind, ("[", "]"))
        inner = "".join(f"<br/>{step}" for step in graph.inner[name])
        lines.append(f'  {ids[name]}{opens}"{name}{inner}"{closes}')
    for edge in graph.edges:
        arrow = "-.->" if edge.on_error else "-->"
        label = f'|"{edge.label}"|' if edge.label else ""
        lines.append(f"  {ids[edge.source]} {arrow}{label} {ids[edge.target]}")
    lines += ["```", "", "| step | can end in |", "| --- | --- |"]
    lines += [f"| {name} | {', '.join(found)} |" for name, found in graph.failures.items() if found]
    if graph.everywhere:
        lines += ["", f"Every task can also end in: {', '.join(graph.everywhere)}."]
    return "\n".join([*lines, ""])


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pictures or check that they are up to date."""
    parser = argparse.ArgumentParser(description="Draw a state machine in Amazon States Language.")
    parser.add_argument("definition", type=Path)
    parser.add_argument("--svg", type=Path)
    parser.add_argument("--mermaid", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a picture is out of date")
    options = parser.parse_args(arguments)
    machine = json.loads(options.definition.read_text(encoding="utf-8"))
    graph, start = read_graph(machine), machine["StartAt"]
    title = f"Workflow {options.definition.name.partition('.')[0]}"
    pictures: list[tuple[Path, str]] = []
    if options.svg:
        pictures.append((options.svg, svg(graph, start, title)))
    if options.mermaid:
        pictures.append((options.mermaid, mermaid(graph, title, options.definition.as_posix())))
    stale = [str(path) for path, text in pictures if not path.exists() or path.read_text(encoding="utf-8") != text]
    if not options.check:
        for path, text in pictures:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return 0
    if stale:
        print(f"Out of date: {', '.join(stale)}. Run `make graph`.", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
