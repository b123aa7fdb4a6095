"""What "docker run" means here: an image's command as a process whose /opt/ml is a folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from localaws import faults, processes
from localaws.settings import Image, Settings

OPT_ML = PurePosixPath("/opt/ml")

STOP_GRACE_SECONDS = 5.0
"""AWS waits 120 s between SIGTERM and SIGKILL; nobody at a laptop wants to."""


class Container(NamedTuple):
    """A started container: its process, and whether a fault took the place of the image's command."""

    process: subprocess.Popen[bytes]
    is_faulty: bool


def start(
    settings: Settings,
    image: Image,
    *,
    kind: str,
    name: str,
    root: Path,
    log_path: Path,
    arguments: Sequence[str],
    entrypoint: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Container:
    """Start a container's process.

    Parameters
    ----------
    kind, name
        What it is for: ``training`` and the job's name. A fault ordered for the image and the name takes its place.
    root
        The folder that stands for /opt/ml; also the working directory.
    arguments
        As Docker's CMD: appended to the entry point.
    entrypoint
        Replaces the image's own command unless empty.
    environment
        Variables of the request; their values are passed on unchanged.
    """
    ordered = faults.active.take_command(image.name, name, arguments)
    command = ordered or (*(entrypoint or image.command), *arguments)
    process = processes.spawn(
        [sys.executable if command[0] in ("python", "python3") else command[0], *command[1:]],
        cwd=root,
        environment={
            **settings.child_environment(),
            "PYTHONPATH": str(image.workdir),
            **(environment or {}),
            settings.root_variable: str(root),
        },
        log_path=log_path,
        kind=kind,
        name=name,
    )
    return Container(process, is_faulty=ordered is not None)


def local_path(root: Path, container_path: str) -> Path:
    """Return where a container's path below /opt/ml lies on this machine.

    Raises
    ------
    ValueError
        The path is not below /opt/ml, or leaves it by ``..``.
    """
    path = PurePosixPath(container_path)
    if ".." in path.parts or not path.is_relative_to(OPT_ML):
        raise ValueError(f"LocalPath {container_path!r} must be below /opt/ml")
    return root / path.relative_to(OPT_ML)


def exit_code(process: subprocess.Popen[bytes]) -> int:
    """Return an ended process's exit code as Docker reports it: 137 after SIGKILL."""
    code = process.returncode
    return 128 - code if code < 0 else code


def remove(folder: Path) -> None:
    """Remove a container's folder; what cannot be removed stays until the region's home goes."""
    shutil.rmtree(folder, ignore_errors=True)
