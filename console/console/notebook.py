"""A state machine as a picture, and an execution as it goes on: for notebooks and terminals.

They do what the article's ``workflow.render_graph()`` and ``execution.render_progress()`` do, for any state machine
that boto3 can reach by its usual settings.
"""

from __future__ import annotations

import base64
import importlib
import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Any

from console.data.history import CAUGHT, FAILED, RUNNING, STOPPED, SUCCEEDED, Stay
from console.data.joblog import GROUPS, JobLog
from console.data.runs import Details, Follower
from console.data.stack import client
from console.graphs import draw

_SIGNS = {RUNNING: "…", SUCCEEDED: "✓", CAUGHT: "↪", FAILED: "✗", STOPPED: "■"}
_FINE_HEIGHT, _MAP_HEIGHT = 640, 560
"""Pixels: of the frame in which a whole picture is scrolled, and of the small one beside the list of states."""


class ExecutionFailedError(RuntimeError):
    """An execution did not succeed."""


@dataclass(frozen=True)
class Picture:
    """A state machine that a notebook shows as a picture and a terminal as a list.

    Attributes
    ----------
    svg : str
        Stands alone.
    text : str
    """

    svg: str
    text: str

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f'<div style="max-height: {_FINE_HEIGHT}px; overflow: auto">{_image(self.svg)}</div>'


def render_graph(state_machine_arn: str) -> Picture:
    """Draw a state machine as it is deployed.

    Parameters
    ----------
    state_machine_arn : str
        An output of the stack: ``TrainStateMachineArn`` or ``ForecastStateMachineArn``; any other one is drawn too.

    Returns
    -------
    Picture
        As the last value of a notebook's cell it is a picture; printed in a terminal it is a list of states.
    """
    definition = _definition(state_machine_arn)
    name = state_machine_arn.rpartition(":")[2]
    return Picture(draw(definition, title=name), "\n".join([name, *_states(definition)]))


def render_progress(execution_arn: str, pause: float = 1.0) -> dict[str, Any]:
    """Show an execution until it ends: in a notebook a picture that changes, in a terminal a line for each state.

    Parameters
    ----------
    execution_arn : str
        As ``start_execution`` returns it. An execution that has ended is shown as it was.
    pause : float
        Seconds between two looks.

    Returns
    -------
    dict
        The execution's output.

    Raises
    ------
    ExecutionFailedError
        It failed, was stopped or timed out; with the state, the error and its cause.
    """
    prefix, _, name = execution_arn.rpartition(":")
    definition = _definition(prefix.replace(":execution:", ":stateMachine:"))
    follower, logs = Follower(execution_arn), dict[tuple[str, str], JobLog]()
    show = _in_notebook(definition, name) if _has_display() else _on_terminal()
    next(show)
    while True:
        details = follower.read()
        show.send((details, _progress(details, logs)))
        if details.run.status != "RUNNING":
            break
        time.sleep(pause)
    if details.run.status != "SUCCEEDED":
        last = details.stays[-1].name if details.stays else "the beginning"
        raise ExecutionFailedError(
            f"The execution {name} ended at '{last}': {details.error or details.run.status}. {details.cause}".strip()
        )
    return details.output


_Show = Iterator[None]


def _definition(state_machine_arn: str) -> dict[str, Any]:
    found = client("stepfunctions").describe_state_machine(stateMachineArn=state_machine_arn)
    definition: dict[str, Any] = json.loads(found["definition"])
    return definition


def _states(machine: Mapping[str, Any], depth: int = 1) -> Iterator[str]:
    for name, state in machine["States"].items():
        if state["Type"] != "Fail":
            yield f"{'  ' * depth}{name} ({state['Type']})"
        for part in [*state.get("Branches", []), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])]:
            yield from _states(part, depth + 1)


def _progress(details: Details, logs: dict[tuple[str, str], JobLog]) -> str:
    """Return what the log of the job that runs now says of its progress."""
    jobs = [stay.jobs[-1] for stay in details.stays if stay.left is None and stay.jobs and stay.jobs[-1][0] in GROUPS]
    if not jobs:
        return ""
    log = logs.setdefault(jobs[-1], JobLog(*jobs[-1]))
    log.read()
    return f"{log.progress.share:.0%} {log.progress.text}" if log.progress else ""


def _line(stay: Stay, progress: str = "") -> str:
    seconds = stay.seconds(datetime.now(UTC))
    attempts = f" (attempt {stay.attempts})" if stay.attempts > 1 else ""
    return f"{seconds:7.1f} s {_SIGNS[stay.status]} {stay.name}{attempts} {progress}".rstrip()


def _on_terminal() -> Any:
    """Print a line for each state when it has been left; a loop would print its states again and again."""
    shown: set[str] = set()
    while True:
        details, _ = yield
        for stay in details.stays:
            if stay.left is not None and stay.name not in shown:
                shown.add(stay.name)
                print(_line(stay), flush=True)


def _in_notebook(definition: Mapping[str, Any], name: str) -> Any:
    """Replace what the cell shows: the states so far with a small picture beside them."""
    ipython: Any = importlib.import_module("IPython.display")
    handle = None
    while True:
        details, progress = yield
        html = ipython.HTML(_html(definition, name, details, progress))
        if handle is None:
            handle = ipython.display(html, display_id=True)
        else:
            handle.update(html)


def _html(definition: Mapping[str, Any], name: str, details: Details, progress: str) -> str:
    lasting: dict[str, list[Stay]] = {}
    for stay in details.stays:
        lasting.setdefault(stay.name, []).append(stay)
    # A loop enters its states again and again: the last stay stands for all.
    lines = [_line(stays[-1], "" if stays[-1].left else progress) for stays in lasting.values()]
    head = f"{name}: {details.run.status.lower()}, {details.run.seconds:.0f} s"
    marks = {name: stays[-1].status for name, stays in lasting.items()}
    return (
        '<div style="display: flex; gap: 2em; align-items: flex-start">'
        f"<pre>{escape(chr(10).join([head, '', *lines]))}</pre>"
        f"{_image(draw(definition, marks, title=head), _MAP_HEIGHT)}</div>"
    )


def _image(svg: str, height: int | None = None) -> str:
    """Return an image element: as a part of the page, an SVG's style sheet would hold for the notebook too."""
    data = base64.b64encode(svg.encode()).decode()
    size = f' height="{height}"' if height else ""
    return f'<img alt="The state machine" src="data:image/svg+xml;base64,{data}"{size} style="max-width: none">'


def _has_display() -> bool:
    """Return whether this runs in a kernel of Jupyter, whose pages show HTML."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return hasattr(shell, "kernel")
