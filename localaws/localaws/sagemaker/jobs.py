"""Runs each job in a thread of its own."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from localaws.identity import acting_as
from localaws.sagemaker import container
from localaws.sagemaker.context import Context
from localaws.sagemaker.errors import AlgorithmError, JobError
from localaws.sagemaker.instances import Outcome
from localaws.sagemaker.job import PROCESSING, Job

Work = Callable[[Job, Context, Path], Outcome]


def start(job: Job, context: Context, work: Work) -> None:
    """Run a job in the background and update its state.

    Parameters
    ----------
    work
        Function that does the work of a kind of job in a folder.
    """
    threading.Thread(target=_run, args=(job, context, work), name=f"{job.kind.word}-{job.name}", daemon=True).start()


def _run(job: Job, context: Context, work: Work) -> None:
    try:
        outcome = _in_a_folder(job, context, work)
    except JobError as error:
        if job.kind is PROCESSING and isinstance(error, AlgorithmError):
            job.details.setdefault("ExitMessage", f"exit code: {error.exit_code}")
        _finish(job, "Failed", str(error))
    except Exception as error:  # noqa: BLE001 - the job must reach a final status
        traceback.print_exc()
        _finish(job, "Failed", f"InternalServerError: {error}")
    else:
        if outcome == "MaxRuntimeExceeded":
            _finish(job, "Stopped", stage=outcome)
        else:
            _finish(job, outcome)


def _in_a_folder(job: Job, context: Context, work: Work) -> Outcome:
    """Do the work of a job in a folder, which is removed before the job gets a final status."""
    folder = context.folder(job.kind.word, job.name)
    container.remove(folder)
    try:
        job.enter("Starting", "Preparing the instances")
        folder.mkdir(parents=True)
        job.started = datetime.now(UTC)
        with acting_as(job.request.get("RoleArn") or ""):
            return work(job, context, folder)
    finally:
        container.remove(folder)


def _finish(job: Job, status: str, reason: str | None = None, stage: str | None = None) -> None:
    """Set the final status of a job, which is Stopped if it was asked to stop."""
    if job.stop_requested.is_set():
        job.finish("Stopped")
    else:
        job.finish(status, reason, stage)
