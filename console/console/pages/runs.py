"""*Runs*: the executions, one of them as it runs, and the form that starts one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from console import charts
from console.data import runs
from console.data.history import FAILED, RUNNING, Stay
from console.data.joblog import GROUPS, JobLog
from console.data.stack import WORKFLOWS
from console.forms import empty_form, filled_form
from console.forms import read_form as read_fields
from console.graphs.layouts import placed_by_elk
from console.live import END, stream
from console.pages.rendering import page, part, read_form, settings_of, stack_of

CURVE_WIDTH, CURVE_HEIGHT = 320, 170


def index(request: Request) -> Response:
    """List the executions."""
    stack = stack_of(request)
    return page(request, "runs", stack=stack, runs=runs.list_runs(stack))


def index_events(request: Request) -> Response:
    """Send the list whenever it changes."""
    stack, last = stack_of(request), ""

    def look() -> Iterator[tuple[str, Any]]:
        nonlocal last
        html = part("parts", "run_rows", runs=runs.list_runs(stack))
        if html != last:
            last = html
            yield "runs", {"html": html}

    return stream(look)


def show(request: Request) -> Response:
    """Show one execution as it is now."""
    stack = stack_of(request)
    workflow, name = _names(request)
    details = runs.Follower(stack.execution(workflow, name), workflow).read()
    view = View(details, request.query_params.get("job", ""))
    for log in view.logs():
        log.read()
    return page(request, "run", stack=stack, **view.values())


def show_events(request: Request) -> Response:
    """Send what changes in one execution: its states, its curve, its log."""
    stack = stack_of(request)
    workflow, name = _names(request)
    follower, chosen = runs.Follower(stack.execution(workflow, name), workflow), request.query_params.get("job", "")
    logs: dict[tuple[str, str], JobLog] = {}
    sent: dict[str, Any] = {}
    ended = False

    def look() -> Iterator[tuple[str, Any]]:
        nonlocal ended
        if ended:
            yield END, {}
            return
        details = follower.read()
        view = View(details, chosen, logs)
        lines = {log.job: log.read() for log in view.logs()}
        values = view.values()
        parts = {
            "head": part("parts", "run_head", details=details, settings=settings_of(request)),
            "states": part("parts", "state_rows", view=view),
            "progress": part("parts", "progress", view=view),
            "curve": part("parts", "curve", view=view),
        }
        changed = {key: html for key, html in parts.items() if sent.get(key) != html}
        if changed or sent.get("graph") != values["marks"]:
            yield "run", {"parts": changed, "graph": values["marks"]}
        sent.update(parts, graph=values["marks"])
        if view.log is not None and (sent.get("job") != view.log.job or lines[view.log.job]):
            new = sent.get("job") != view.log.job
            shown = view.log.lines if new else lines[view.log.job]
            yield "log", {"job": view.log.job, "new": new, "html": part("parts", "log_lines", lines=shown)}
            sent["job"] = view.log.job
        ended = details.run.status != "RUNNING"

    return stream(look)


class View:
    """What the page of an execution shows of it.

    Parameters
    ----------
    details : Details
    chosen : str
        The job whose log is wanted, kind and name with a slash between them; empty for the one that tells most.
    logs : dict
        Logs that were read before.
    """

    def __init__(self, details: runs.Details, chosen: str, logs: dict[tuple[str, str], JobLog] | None = None) -> None:
        self.details, self.now = details, datetime.now(UTC)
        self.chosen = chosen
        kept = {} if logs is None else logs
        jobs = [job for stay in details.stays for job in stay.jobs if job[0] in GROUPS]
        training = [job for job in jobs if job[0] == "createTrainingJob"]
        wanted = next((job for job in jobs if "/".join(job) == chosen), None)
        if wanted is None and jobs:
            # The latest one while the execution runs; afterwards that of the training, whose log is worth reading.
            wanted = jobs[-1] if details.run.status != "SUCCEEDED" or not training else training[-1]
        self.log = None if wanted is None else kept.setdefault(wanted, JobLog(*wanted))
        self.training = None if not training else kept.setdefault(training[-1], JobLog(*training[-1]))
        if self.training is not None and self.log is not None and self.training.job == self.log.job:
            self.training = self.log

    def logs(self) -> list[JobLog]:
        """Return the logs to read."""
        return [log for log in dict.fromkeys((self.log, self.training)) if log is not None]

    def values(self) -> dict[str, Any]:
        """Return the values of the template."""
        return {
            "details": self.details,
            "view": self,
            "graph": placed_by_elk(self.details.run.workflow),
            "marks": self.marks(),
            "input": json.dumps(self.details.input, indent=2),
        }

    def marks(self) -> dict[str, str]:
        """Return the status of each state that was entered: that of its last stay."""
        return {stay.name: stay.status for stay in self.details.stays}

    def states(self) -> list[dict[str, Any]]:
        """Return a row for each state, in the order in which they were first entered."""
        rows: dict[str, dict[str, Any]] = {}
        for stay in self.details.stays:
            row = rows.setdefault(
                stay.name, {"name": stay.name, "times": 0, "seconds": 0.0, "jobs": [], "error": "", "cause": ""}
            )
            row["times"] += 1
            row["seconds"] += stay.seconds(self.now) if stay.left else 0.0
            row |= {"status": stay.status, "attempts": stay.attempts, "depth": min(stay.depth, 2)}
            row["since"] = stay.entered if stay.left is None else None
            row["jobs"] += stay.jobs
            if stay.error or stay.cause:
                row |= {"error": stay.error, "cause": stay.cause}
        if self.details.run.status in ("FAILED", "TIMED_OUT", "ABORTED"):
            self._explain(rows)
        return list(rows.values())

    def _explain(self, rows: dict[str, dict[str, Any]]) -> None:
        last = self.details.stays[-1] if self.details.stays else None
        if last is not None and last.status == FAILED:
            rows[last.name] |= {"error": self.details.error, "cause": self.details.cause}

    @property
    def running(self) -> list[Stay]:
        """Return the stays that last."""
        return [stay for stay in self.details.stays if stay.status == RUNNING and stay.left is None]

    def curves(self) -> dict[str, charts.Curve]:
        """Return the curves of the training by what they show; none before its second epoch."""
        epochs = self.training.epochs if self.training is not None else []
        if len(epochs) < 2:
            return {}
        series = {
            "Validation log loss, nats": [(epoch.number, epoch.validation_log_loss) for epoch in epochs],
            "Training loss, nats": [(epoch.number, epoch.train_loss) for epoch in epochs],
        }
        return {name: charts.curve(points, epochs[-1].of, CURVE_WIDTH, CURVE_HEIGHT) for name, points in series.items()}


def form(request: Request) -> Response:
    """Show the form that starts a workflow, filled with the input of another execution where one is named."""
    stack = stack_of(request)
    workflow = _workflow(request)
    schema = _schema(request, workflow)
    earlier = request.query_params.get("from", "")
    fields = empty_form(schema)
    if earlier:
        fields = filled_form(schema, runs.Follower(stack.execution(workflow, earlier), workflow).read().input)
    return page(request, "start", stack=stack, workflow=workflow, form=fields, document=None, failure="")


async def start(request: Request) -> Response:
    """Start a workflow with the form, or show what is wrong in it."""
    workflow, given = _workflow(request), await read_form(request)

    def work() -> Response:
        stack = stack_of(request)
        fields, document = read_fields(_schema(request, workflow), given)
        if document is None:
            return page(request, "start", 422, stack=stack, workflow=workflow, form=fields, document=None, failure="")
        name = runs.start(stack, workflow, document)
        return RedirectResponse(f"/runs/{workflow}/{quote(name, safe='')}", 303)

    return await run_in_threadpool(work)


def stop(request: Request) -> Response:
    """Stop an execution."""
    workflow, name = _names(request)
    runs.stop(stack_of(request), workflow, name)
    return RedirectResponse(f"/runs/{workflow}/{quote(name, safe='')}", 303)


def redrive(request: Request) -> Response:
    """Let a failed execution go on."""
    workflow, name = _names(request)
    runs.redrive(stack_of(request), workflow, name)
    return RedirectResponse(f"/runs/{workflow}/{quote(name, safe='')}", 303)


def _workflow(request: Request) -> str:
    workflow: str = request.path_params["workflow"]
    if workflow not in WORKFLOWS:
        raise HTTPException(404, "There is no such workflow.")
    return workflow


def _names(request: Request) -> tuple[str, str]:
    return _workflow(request), request.path_params["name"]


def _schema(request: Request, workflow: str) -> dict[str, Any]:
    file = settings_of(request).schemas / f"{workflow}.input.schema.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found
