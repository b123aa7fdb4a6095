"""The instances of a job: each has a process and a folder. They start, end and fail together."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from localaws import processes
from localaws.sagemaker import container
from localaws.sagemaker.context import Context
from localaws.sagemaker.errors import AlgorithmError
from localaws.sagemaker.job import Job
from localaws.settings import Image

POLL_SECONDS = 0.05
MESSAGE_LIMIT = 1024
"""SageMaker reports this many characters of a failure file."""

Outcome = Literal["Completed", "Stopped", "MaxRuntimeExceeded", "Interrupted"]


@dataclass(frozen=True)
class Launch:
    """What each instance runs: the image, its arguments and the environment of the request."""

    image: Image
    arguments: Sequence[str]
    entrypoint: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Instances:
    """The folders of the instances of a job.

    Attributes
    ----------
    hosts
        Names of the instances: ``algo-1``, ``algo-2``...
    roots
        Folder of each instance's /opt/ml. A single instance has the folder of the job.
    """

    folder: Path
    hosts: tuple[str, ...]
    roots: tuple[Path, ...]

    @classmethod
    def of(cls, folder: Path, count: int) -> Instances:
        """Return a number of instances in a folder."""
        hosts = tuple(f"algo-{number + 1}" for number in range(count))
        return cls(folder, hosts, (folder,) if count == 1 else tuple(folder / host for host in hosts))

    def resource_config(self, number: int, instance_type: str) -> dict[str, Any]:
        """Return the content of an instance's resourceconfig.json; `number` counts from 0."""
        hosts = list(self.hosts)
        return {
            "current_host": hosts[number],
            "current_instance_type": instance_type,
            "current_group_name": "homogeneousCluster",
            "hosts": hosts,
            "instance_groups": [
                {
                    "instance_group_name": "homogeneousCluster",
                    "instance_type": instance_type,
                    "hosts": hosts,
                }
            ],
            "network_interface_name": "lo",
        }


def run_instances(
    job: Job,
    context: Context,
    instances: Instances,
    launch: Launch,
    *,
    on_line: Callable[[str], None] | None = None,
    meanwhile: Callable[[], None] = lambda: None,
    interrupted: threading.Event | None = None,
) -> Outcome:
    """Run the processes of all instances to their end.

    Parameters
    ----------
    on_line
        Called with each line of the logs.
    meanwhile
        Called about once a second while the processes run.
    interrupted
        Set to take the instances away.

    Raises
    ------
    AlgorithmError
        An instance ended with an exit code other than 0, and the others were stopped. The message is the content of
        ``output/failure``.
    """
    running: list[subprocess.Popen[bytes]] = []
    tails = []
    try:
        for host, root in zip(instances.hosts, instances.roots, strict=True):
            log_path = context.log_path(instances.folder, host)
            tails.append(context.follow(log_path, job.kind.log_group, f"{job.name}/{host}", on_line))
            running.append(_start(job, context, launch, root, log_path))
        outcome = _wait(job, running, meanwhile, interrupted or threading.Event())
    finally:
        for process in running:
            processes.stop(process, container.STOP_GRACE_SECONDS)
        for tail in tails:
            tail.close()
    if outcome == "Completed":
        for process, root in zip(running, instances.roots, strict=True):
            if process.returncode:
                raise AlgorithmError(_failure_text(root), container.exit_code(process))
    return outcome


def _start(job: Job, context: Context, launch: Launch, root: Path, log_path: Path) -> subprocess.Popen[bytes]:
    try:
        return container.start(
            context.settings,
            launch.image,
            kind=job.kind.word,
            name=job.name,
            root=root,
            log_path=log_path,
            arguments=launch.arguments,
            entrypoint=launch.entrypoint,
            environment=launch.environment,
        ).process
    except OSError as error:
        raise AlgorithmError(f"The command of image {launch.image.name} did not start: {error}", 127) from error


def _wait(
    job: Job,
    running: Sequence[subprocess.Popen[bytes]],
    meanwhile: Callable[[], None],
    interrupted: threading.Event,
) -> Outcome:
    """Wait until all processes have ended, one has failed, or the job is stopped, timed out or interrupted."""
    end = time.monotonic() + job.time_limit_seconds
    next_call = time.monotonic() + 1
    while any(process.poll() is None for process in running):
        if any(process.returncode for process in running):
            break
        if job.stop_requested.wait(POLL_SECONDS):
            return "Stopped"
        if interrupted.is_set():
            return "Interrupted"
        now = time.monotonic()
        if now >= end:
            return "MaxRuntimeExceeded"
        if now >= next_call:
            meanwhile()
            next_call = now + 1
    return "Stopped" if job.stop_requested.is_set() else "Completed"


def _failure_text(root: Path) -> str:
    try:
        return (root / "output" / "failure").read_text("utf-8", "replace")[:MESSAGE_LIMIT].strip()
    except OSError:
        return ""


def write_json(path: Path, document: Any) -> None:
    """Write a configuration file for a container."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, default=str, indent=1), encoding="utf-8")
