"""One training, processing, transform or tuning job: its state, and its description as the Describe call answers it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

FINAL = ("Completed", "Failed", "Stopped")
SPOT_SHARE = 0.3
"""SageMaker tells the price of spare capacity as seconds that are not billed. The share is billed here."""


@dataclass(frozen=True)
class Kind:
    """What the kinds of job call things.

    Attributes
    ----------
    label
        As in ``TrainingJobName``.
    resource
        As in the ARN: ``training-job``.
    log_group
        Where its lines go; a tuning job has none of its own.
    """

    label: str
    resource: str
    log_group: str

    @property
    def word(self) -> str:
        """Return the kind in a sentence: ``training``."""
        return self.label.lower()


TRAINING = Kind("Training", "training-job", "/aws/sagemaker/TrainingJobs")
PROCESSING = Kind("Processing", "processing-job", "/aws/sagemaker/ProcessingJobs")
TUNING = Kind("HyperParameterTuning", "hyper-parameter-tuning-job", "")
TRANSFORM = Kind("Transform", "transform-job", "/aws/sagemaker/TransformJobs")


@dataclass
class Job:
    """One job; its runner changes it, requests read it.

    Attributes
    ----------
    request
        As the Create call had it; comes back in the description.
    tags
        Changed in place by AddTags and DeleteTags.
    details
        What the description has on top, by its name in the API.
    transitions
        SecondaryStatusTransitions of a training job.
    """

    kind: Kind
    name: str
    arn: str
    request: Mapping[str, Any]
    tags: list[dict[str, str]]
    status: str = "InProgress"
    failure_reason: str | None = None
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    modified: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: datetime | None = None
    ended: datetime | None = None
    details: dict[str, Any] = field(default_factory=dict)
    transitions: list[dict[str, Any]] = field(default_factory=list)
    stop_requested: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def time_limit_seconds(self) -> float:
        """Longest run time; a day, SageMaker's default, when the request sets none."""
        condition = self.request.get("StoppingCondition") or {}
        return float(condition.get("MaxRuntimeInSeconds") or 86_400)

    def enter(self, stage: str, message: str) -> None:
        """Note the stage a training job is in: Starting, Downloading, Training, Uploading."""
        now = datetime.now(UTC)
        with self._lock:
            if self.transitions:
                self.transitions[-1]["EndTime"] = now
            self.transitions.append({"Status": stage, "StartTime": now, "StatusMessage": message})
            self.modified = now

    def stop(self) -> bool:
        """Ask the job to stop; False when it has ended or is stopping already."""
        with self._lock:
            if self.status != "InProgress":
                return False
            self.status, self.modified = "Stopping", datetime.now(UTC)
        self.stop_requested.set()
        return True

    def finish(self, status: str, reason: str | None = None, stage: str | None = None) -> None:
        """Enter a final state, with the last stage where it differs from the state."""
        self.enter(stage or status, reason or f"{self.kind.label} job {status.lower()}")
        with self._lock:
            self.ended = self.modified = datetime.now(UTC)
            self.transitions[-1]["EndTime"] = self.ended
            # The API truncates: FailureReason has at most 1024 characters.
            self.failure_reason = reason[:1024] if reason else None
            self.status = status

    def describe(self) -> dict[str, Any]:
        """Return the answer of the Describe call."""
        label = self.kind.label
        with self._lock:
            described: dict[str, Any] = {
                **{key: value for key, value in self.request.items() if key != "Tags"},
                **self.details,
                f"{label}JobArn": self.arn,
                f"{label}JobStatus": self.status,
                "FailureReason": self.failure_reason,
                "CreationTime": self.created,
                "LastModifiedTime": self.modified,
                f"{label}StartTime": self.started,
                f"{label}EndTime": self.ended,
            }
            if self.kind is TRAINING and self.transitions:
                described["SecondaryStatus"] = self.transitions[-1]["Status"]
                described["SecondaryStatusTransitions"] = [dict(transition) for transition in self.transitions]
                if self.started is not None:
                    until = self.ended or datetime.now(UTC)
                    seconds = max(1, round((until - self.started).total_seconds()))
                    described["TrainingTimeInSeconds"] = seconds
                    share = SPOT_SHARE if self.request.get("EnableManagedSpotTraining") else 1
                    described["BillableTimeInSeconds"] = max(1, round(share * seconds))
        return {key: value for key, value in described.items() if value is not None}

    def summary(self) -> dict[str, Any]:
        """Return the job's entry in a List call."""
        label = self.kind.label
        summary = {
            f"{label}JobName": self.name,
            f"{label}JobArn": self.arn,
            f"{label}JobStatus": self.status,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            f"{label}EndTime": self.ended,
            # Only a tuning job has these.
            "TrainingJobStatusCounters": self.details.get("TrainingJobStatusCounters"),
            "ObjectiveStatusCounters": self.details.get("ObjectiveStatusCounters"),
        }
        return {key: value for key, value in summary.items() if value is not None}
