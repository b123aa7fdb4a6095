"""``summary.json``: the results of a run of the demo, for programs to read."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.execution import Execution
from demo.history import latest_output, seconds_by_state
from visitcast.metrics import METRICS

DATA_COUNTS = ("users", "visit_days", "train_rows", "validation_rows", "test_rows")
_ACTIONS = {"Create endpoint": "created", "Update endpoint": "updated", "Update serverless endpoint": "updated"}
REJECTED = "ModelRejected"
"""Error of an execution whose model the gate rejected."""
_NO_ENDPOINT = {"name": None, "config": None, "status": None, "action": "unchanged", "forecast": None}


@dataclass
class Outcome:
    """Results of a run of the demo so far.

    Attributes
    ----------
    seconds_total, seconds_setup, seconds_upload : float
        Wall time of everything, of all steps before the execution, and of the upload of the events among them.
    events : int or None
        Events in the bucket.
    execution : Execution or None
        None when the demo ended before there was one.
    evaluation : dict or None
        evaluation.json of the run.
    report : Path or None
        The evaluation's report for people, on this machine.
    best_possible_log_loss : float or None
        In nats; None for real events, whose truth is unknown.
    endpoint : dict or None
        ``name``, ``config``, ``status``, ``action``, ``forecast``.
    failure : str or None
        Why the run failed, for people; the first cause, whatever failed after it.
    """

    seconds_total: float = 0.0
    seconds_setup: float = 0.0
    seconds_upload: float = 0.0
    events: int | None = None
    execution: Execution | None = None
    evaluation: dict[str, Any] | None = None
    report: Path | None = None
    best_possible_log_loss: float | None = None
    endpoint: dict[str, Any] | None = None
    failure: str | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the execution and everything after it succeeded."""
        return self.execution is not None and self.execution.status == "SUCCEEDED" and self.failure is None

    @property
    def rejected(self) -> bool:
        """Whether the run ended because the gate rejected the model, whose baseline may forecast."""
        return self.execution is not None and self.execution.error == REJECTED


def endpoint_action(execution: Execution) -> str:
    """Return what the execution did to the endpoint: created, updated or unchanged."""
    if execution.status != "SUCCEEDED":
        return "unchanged"
    return next((_ACTIONS[run.name] for run in execution.states if run.name in _ACTIONS), "unchanged")


def summarise(outcome: Outcome) -> dict[str, Any]:
    """Return the summary of a run, however far it got; what it did not reach is null or empty."""
    execution, evaluation = outcome.execution, outcome.evaluation or {}
    states = execution.states if execution else []
    data, gate = evaluation.get("data", {}), evaluation.get("gate", {})
    return {
        "status": execution.status if execution else "FAILED",
        "failure": outcome.failure,
        "execution_arn": execution.arn if execution else None,
        "seconds": {
            "total": round(outcome.seconds_total, 2),
            "setup": round(outcome.seconds_setup, 2),
            "upload": round(outcome.seconds_upload, 2),
            "states": {name: round(seconds, 2) for name, seconds in seconds_by_state(states).items()},
        },
        "states": [run.name for run in states],
        "data": {"events": outcome.events, **{name: data.get(name) for name in DATA_COUNTS}},
        "evaluation": {
            "as_sent": _as_sent(evaluation.get("as_sent")),
            "sends": _sends(evaluation.get("sends")),
            "model": evaluation.get("model"),
            "baselines": evaluation.get("baselines", {}),
            "report": str(outcome.report) if outcome.report else None,
            "best_possible_log_loss": outcome.best_possible_log_loss,
        },
        "gate": {"passed": gate.get("passed"), "reasons": gate.get("reasons", [])},
        "endpoint": outcome.endpoint or _NO_ENDPOINT,
    }


def _as_sent(found: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the metrics of the forecasts as the schedule makes them, and those of the baselines."""
    return found and {name: found[name] for name in (*METRICS, "baselines")}


def _sends(found: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return expected and realised visits in the hour of the send over the test dates."""
    return found and {name: found[name] for name in ("pairs", "dates", "expected", "realised", "ratio")}


def evaluation_of(execution: Execution) -> dict[str, Any] | None:
    """Return the run's evaluation.json as the state machine read it; None if it did not get that far."""
    found = latest_output(execution.states, "evaluation")
    report = found.get("report") if isinstance(found, dict) else None
    return report if isinstance(report, dict) else None


def write_summary(folder: Path, summary: dict[str, Any]) -> Path:
    """Write ``summary.json`` into `folder`; a reader sees the old file or the new one, never half of one."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "summary.json"
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)
    return path
