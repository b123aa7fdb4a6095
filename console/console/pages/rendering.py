"""Templates, and how they write numbers and times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse

from console import charts
from console.data.stack import WORKFLOWS, Stack, find_stack
from console.graphs.drawing import path

LARGEST_FORM = 256 * 1024
"""Bytes; the input of an execution has at most 256 KiB (Step Functions' quotas)."""


@dataclass(frozen=True)
class Settings:
    """How the console was started.

    Attributes
    ----------
    stack : str
        Name of the stack.
    allow_runs : bool
        Whether it may change anything.
    schemas : Path
        Folder with the JSON Schemas of the inputs.
    """

    stack: str
    allow_runs: bool
    schemas: Path


def settings_of(request: Request) -> Settings:
    """Return how the console was started."""
    found: Settings = request.app.state.settings
    return found


def stack_of(request: Request) -> Stack:
    """Return the stack that the console shows."""
    return find_stack(settings_of(request).stack)


def page(request: Request, name: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Render a page."""
    given = {"settings": settings_of(request), "path": request.url.path, "stack": None, **values}
    return HTMLResponse(TEMPLATES.get_template(f"{name}.html.j2").render(given), status)


def part(name: str, macro: str, **values: Any) -> str:
    """Render a macro of a template: a part of a page that is sent again when it changes."""
    module: Any = TEMPLATES.get_template(f"{name}.html.j2").module
    return str(getattr(module, macro)(**values))


async def read_form(request: Request) -> Mapping[str, list[str]]:
    """Read a form that was sent as ``application/x-www-form-urlencoded``.

    Raises
    ------
    ValueError
        It is larger than `LARGEST_FORM`.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_FORM:
            raise ValueError("The form is too large.")
    return await run_in_threadpool(parse_qs, body.decode("utf-8"), keep_blank_values=True)


def duration(seconds: float) -> str:
    """Write a time span.

    >>> [duration(value) for value in (0.04, 3.21, 48.6, 125, 7400)]
    ['0.0 s', '3.2 s', '49 s', '2 min 05 s', '2 h 03 min']
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"
    return f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60:02d} min"


def clock(at: datetime) -> Markup:
    """Write an instant in UTC, with the date."""
    utc = at.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(f"{utc:%Y-%m-%dT%H:%M:%SZ}", f"{utc:%d %b %H:%M:%S}")


def day(value: date | str) -> str:
    """Write a date with its weekday."""
    found = value if isinstance(value, date) else date.fromisoformat(value[:10])
    return f"{found:%a %d %b %Y}"


def percent(value: float | None, digits: int = 1) -> str:
    """Write a share; a dash if it is not known."""
    return "–" if value is None else f"{value:.{digits}%}"


def figure(value: float | None, digits: int = 3, *, sign: bool = False) -> str:
    """Write a number; a dash if it is not known."""
    if value is None:
        return "–"
    return f"{value:{'+' if sign else ''},.{digits}f}".replace("-", "\N{MINUS SIGN}")


def hour(value: int) -> str:
    """Write an hour of the day, ``07:00``."""
    return f"{value:02d}:00"


TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1] / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters.update(
    duration=duration, clock=clock, day=day, percent=percent, figure=figure, hour=hour, svg_path=path
)
TEMPLATES.globals.update(WORKFLOWS=WORKFLOWS, Scale=charts.Scale)
