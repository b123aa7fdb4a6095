"""The progress of a job, from the lines that it logs."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_logs.client import CloudWatchLogsClient

_GROUPS = {"createTrainingJob": "/aws/sagemaker/TrainingJobs", "createProcessingJob": "/aws/sagemaker/ProcessingJobs"}
_PROGRESS = re.compile(r"progress=(?P<fraction>[01](?:\.\d+)?)(?:\s+(?P<text>.*))?")
_EPOCH = re.compile(r"epoch=(?P<epoch>\d+)/(?P<epochs>\d+)(?P<rest>.*)")


@dataclass(frozen=True)
class Progress:
    """Share of the work that is done, 0 to 1, and what is being done."""

    fraction: float
    text: str


def parse_progress(line: str) -> Progress | None:
    """Read ``progress=0.42 text`` or ``epoch=3/20 ...``; None for any other line.

    >>> parse_progress("epoch=3/20 train_loss=2.9012 seconds=4.1")
    Progress(fraction=0.15, text='epoch 3 of 20, train_loss=2.9012 seconds=4.1')
    """
    if match := _PROGRESS.search(line):
        return Progress(min(float(match["fraction"]), 1.0), (match["text"] or "").strip())
    if (match := _EPOCH.search(line)) and int(match["epochs"]):
        epoch, epochs = int(match["epoch"]), int(match["epochs"])
        text = f"epoch {epoch} of {epochs}, {match['rest'].strip()}".rstrip(", ")
        return Progress(min(epoch / epochs, 1.0), text)
    return None


class JobLog:
    """Follows the log of one job; each call of `latest` reads only what is new."""

    def __init__(self, logs: CloudWatchLogsClient, kind: str, job: str) -> None:
        self._logs = logs
        self._group = _GROUPS[kind]
        self._job = job
        self._stream = ""
        self._token = ""  # nosec B105 # of a page, not of a person
        self._latest: Progress | None = None

    def latest(self) -> Progress | None:
        """Return the latest progress that the job has logged; None before the first."""
        # Group and stream appear only when the job writes its first line.
        with suppress(self._logs.exceptions.ResourceNotFoundException):
            if not self._stream:
                found = self._logs.describe_log_streams(
                    logGroupName=self._group, logStreamNamePrefix=f"{self._job}/", limit=1
                )["logStreams"]
                self._stream = found[0]["logStreamName"] if found else ""
            if self._stream:
                self._read()
        return self._latest

    def _read(self) -> None:
        while True:
            token = {"nextToken": self._token} if self._token else {}
            page = self._logs.get_log_events(
                logGroupName=self._group,
                logStreamName=self._stream,
                startFromHead=True,
                **token,  # type: ignore[arg-type]
            )
            for event in page["events"]:
                self._latest = parse_progress(event["message"]) or self._latest
            if page["nextForwardToken"] == self._token or not page["events"]:
                self._token = page["nextForwardToken"]
                return
            self._token = page["nextForwardToken"]
