"""A state machine as SVG: for the console's pages, and as a picture that stands alone."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from console.graphs.layouts import layout, state_size

_HOME = Path(__file__).parents[1]
_BEGIN, _END = "/* --- the state graph */", "/* --- end of the state graph */"
_GAP = 12


def draw(definition: Mapping[str, Any], status: Mapping[str, str] | None = None, title: str = "State machine") -> str:
    """Return a state machine as SVG that needs nothing else, light or dark as the reader's system is.

    Parameters
    ----------
    definition : mapping
        Amazon States Language.
    status : mapping, optional
        Status of states by name: ``running``, ``succeeded``, ``caught``, ``failed`` or ``stopped``. Fail states, and
        states inside a Map or Parallel, are drawn only if they are named here: nearly every task leads to a Fail state.
    title : str
        Text for those who cannot see the picture.

    Returns
    -------
    str
        An ``svg`` element. Its style sheet holds within it alone, so several may be parts of one page.
    """
    marks = status or {}
    placed = with_ends(layout(definition), marks)
    mark = sha256(repr((definition, sorted(marks.items()), title)).encode()).hexdigest()[:8]
    template = _templates().get_template("graph.svg.j2")
    return template.render(graph=placed, marks=marks, title=title, marker=f"tip-{mark}", style=_style())


def with_ends(graph: Mapping[str, Any], marks: Mapping[str, str]) -> dict[str, Any]:
    """Add those of the inner and the Fail states that have a status, in rows below the others."""
    left, top, row = 0.0, graph["height"] + _GAP, 0.0
    width = graph["width"]
    ends = []
    for kind, names in (("Inner", graph["inner"]), ("Fail", graph["fails"])):
        for name in names:
            if name not in marks:
                continue
            size, height = len(name) * 6.6 + 24, state_size("")[1]
            if left and left + size > width:
                left, top = 0.0, top + height + _GAP / 2
            place = {"x": round(left, 1), "y": top, "width": round(size, 1), "height": height}
            ends.append({"name": name, "kind": kind, "lines": [name], **place})
            left, row = left + size + _GAP / 2, top + height
            width = max(width, math.ceil(size))
    return {**graph, "width": width, "height": max(graph["height"], row), "states": [*graph["states"], *ends]}


def path(points: Sequence[Sequence[float]], radius: float = 6) -> str:
    """Return the SVG path of a line with round corners."""
    (x, y), rest = points[0], points[1:]
    words = [f"M{x:g} {y:g}"]
    for number, (corner_x, corner_y) in enumerate(rest[:-1]):
        after_x, after_y = rest[number + 1]
        before, after = math.dist((x, y), (corner_x, corner_y)), math.dist((corner_x, corner_y), (after_x, after_y))
        bend = min(radius, before / 2, after / 2)
        if bend < 0.5:
            continue
        in_x, in_y = _towards(corner_x, corner_y, x, y, bend)
        out_x, out_y = _towards(corner_x, corner_y, after_x, after_y, bend)
        words.append(f"L{in_x:g} {in_y:g} Q{corner_x:g} {corner_y:g} {out_x:g} {out_y:g}")
        x, y = corner_x, corner_y
    words.append(f"L{rest[-1][0]:g} {rest[-1][1]:g}")
    return " ".join(words)


def _towards(x: float, y: float, to_x: float, to_y: float, by: float) -> tuple[float, float]:
    distance = math.dist((x, y), (to_x, to_y)) or 1.0
    return round(x + (to_x - x) / distance * by, 2), round(y + (to_y - y) / distance * by, 2)


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(_HOME / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["svg_path"] = path
    return templates


@cache
def _style() -> str:
    """Return the rules of the console's style sheet for a state graph, with its colours instead of their names.

    Programs that show an SVG as a picture know neither the page's colours nor always ``light-dark()``.
    """
    sheet = (_HOME / "static/console.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--([\w-]+): (light-dark\([^)]+\));", sheet))
    rules = re.sub(r"/\*.*?\*/\n", "", sheet.partition(_BEGIN)[2].partition(_END)[0]).strip()
    light, dark = ({name: pair[11:-1].split(", ")[n] for name, pair in colours.items()} for n in (0, 1))
    dark_rules = "\n".join(line for line in rules.splitlines() if "var(" in line)
    return f"{_coloured(rules, light)}\n@media (prefers-color-scheme: dark) {{\n{_coloured(dark_rules, dark)}\n}}"


def _coloured(rules: str, colours: Mapping[str, str]) -> str:
    return re.sub(r"var\(--([\w-]+)\)", lambda found: colours[found[1]], rules)
