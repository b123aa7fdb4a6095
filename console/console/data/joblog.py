"""The log of a job and the progress that its lines tell."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from console.data.stack import client

GROUPS = {
    "createTrainingJob": "/aws/sagemaker/TrainingJobs",
    "createProcessingJob": "/aws/sagemaker/ProcessingJobs",
    "createTransformJob": "/aws/sagemaker/TransformJobs",
}
"""Log groups that SageMaker writes the jobs' output into, by the call that starts the job."""
KEPT_LINES = 500
_PROGRESS = re.compile(r"progress=(?P<share>[01](?:\.\d+)?)(?:\s+(?P<text>.*))?")
_EPOCH = re.compile(
    r"epoch=(?P<epoch>\d+)/(?P<epochs>\d+) train_loss=(?P<train>[\d.]+) validation_log_loss=(?P<validation>[\d.]+)"
)


@dataclass(frozen=True)
class Line:
    """A line of a log and its time, in milliseconds since 1970."""

    at: int
    text: str


@dataclass(frozen=True)
class Epoch:
    """An epoch of a training job, with its losses in nats."""

    number: int
    of: int
    train_loss: float
    validation_log_loss: float


@dataclass(frozen=True)
class Progress:
    """Share of the work that is done, 0 to 1, and what is being done."""

    share: float
    text: str


def epoch_of(text: str) -> Epoch | None:
    """Read the line of an epoch; return None for any other line.

    >>> epoch_of("epoch=3/20 train_loss=2.9012 validation_log_loss=2.8810 seconds=4.1")
    Epoch(number=3, of=20, train_loss=2.9012, validation_log_loss=2.881)
    """
    if found := _EPOCH.search(text):
        return Epoch(int(found["epoch"]), int(found["epochs"]), float(found["train"]), float(found["validation"]))
    return None


def progress_of(lines: Iterable[Line]) -> Progress | None:
    """Return the latest progress in some lines; None if there is none."""
    latest = None
    for line in lines:
        if found := _PROGRESS.search(line.text):
            latest = Progress(min(float(found["share"]), 1.0), (found["text"] or "").strip())
    return latest


class JobLog:
    """Follows the log of one job.

    Attributes
    ----------
    lines : list of Line
        The last lines so far.
    epochs : list of Epoch
    progress : Progress or None
    """

    def __init__(self, kind: str, job: str) -> None:
        self.kind, self.job = kind, job
        self.lines: list[Line] = []
        self.epochs: list[Epoch] = []
        self.progress: Progress | None = None
        self._tokens: dict[str, str] = {}

    def read(self) -> list[Line]:
        """Read what is new and return it."""
        new: list[Line] = []
        logs = client("logs")
        # Group and streams appear only when the job writes its first line.
        with suppress(logs.exceptions.ResourceNotFoundException):
            streams = logs.describe_log_streams(logGroupName=GROUPS[self.kind], logStreamNamePrefix=f"{self.job}/")
            for stream in streams["logStreams"]:
                new += self._stream(stream["logStreamName"])
        self.lines = (self.lines + new)[-KEPT_LINES:]
        self.epochs += [epoch for line in new if (epoch := epoch_of(line.text))]
        self.progress = progress_of(new) or self.progress
        return new

    def _stream(self, name: str) -> list[Line]:
        new: list[Line] = []
        while True:
            token: dict[str, Any] = {"nextToken": self._tokens[name]} if name in self._tokens else {}
            page = client("logs").get_log_events(
                logGroupName=GROUPS[self.kind], logStreamName=name, startFromHead=True, **token
            )
            new += [Line(event["timestamp"], event["message"].rstrip("\n")) for event in page["events"]]
            done = not page["events"] or page["nextForwardToken"] == self._tokens.get(name)
            self._tokens[name] = page["nextForwardToken"]
            if done:
                return new
