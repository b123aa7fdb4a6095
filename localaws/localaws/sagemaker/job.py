"""A training, processing, transform or tuning job: its state and its description."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

FINAL = ("Completed", "Failed", "Stopped")
SPOT_SHARE = 0.3
"""Share of a managed spot training job's time that is billed. On AWS it depends on the price of spot capacity."""


@dataclass(frozen=True)
class Kind:
    """A kind of job.

    Attributes
    ----------
    label
        Prefix of names in the API, as in ``TrainingJobName``.
    resource
        Type of the resource in the ARN, such as ``training-job``.
    log_group
        Log group, which a tuning job does not have.
    """

    label: str
    resource: str
    log_group: str

    @property
    def word(self) -> str:
        """Return the kind in lower case, such as ``training``."""
        return self.label.lower()


TRAINING = Kind("Training", "training-job", "/aws/sagemaker/TrainingJobs")
PROCESSING = Kind("Processing", "processing-job", "/aws/sagemaker/ProcessingJobs")
TUNING = Kind("HyperParameterTuning", "hyper-parameter-tuning-job", "")
TRANSFORM = Kind("Transform", "transform-job", "/aws/sagemaker/TransformJobs")


@dataclass
class Job:
    """The state of a job, which its thread changes and the API reads.

    Attributes
    ----------
    request
        Parameters of the Create call, which are part of the description.
    tags
        Tags, which moto changes in place.
    details
        Other parts of the description, by their names in the API.
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
        """Return the longest run time in seconds. SageMaker's default is a day."""
        condition = self.request.get("StoppingCondition") or {}
        return float(condition.get("MaxRuntimeInSeconds") or 86_400)

    def enter(self, stage: str, message: str) -> None:
        """Enter a stage of a training job: Starting, Downloading, Training, Uploading."""
        now = datetime.now(UTC)
        with self._lock:
            if self.transitions:
                self.transitions[-1]["EndTime"] = now
            self.transitions.append({"Status": stage, "StartTime": now, "StatusMessage": message})
            self.modified = now

    def stop(self) -> bool:
        """Ask the job to stop. Return False if it has ended or is being stopped."""
        with self._lock:
            if self.status != "InProgress":
                return False
            self.status, self.modified = "Stopping", datetime.now(UTC)
        self.stop_requested.set()
        return True

    def finish(self, status: str, reason: str | None = None, stage: str | None = None) -> None:
        """Enter a final status. `stage` is the last stage, unless it has the name of the status."""
        self.enter(stage or status, reason or f"{self.kind.label} job {status.lower()}")
        with self._lock:
            self.ended = self.modified = datetime.now(UTC)
            self.transitions[-1]["EndTime"] = self.ended
            # FailureReason has at most 1024 characters (API reference).
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
