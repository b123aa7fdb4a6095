"""Containers: processes that run the command of an image, with a folder as /opt/ml."""

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
"""Time between SIGTERM and SIGKILL. AWS waits 120 s."""


class Container(NamedTuple):
    """A started container: its process, and whether it runs the command of a fault."""

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
        What the container is for, such as ``training``, and the name of the job or endpoint.
    root
        Folder that is /opt/ml for the container, and its working directory.
    arguments
        Arguments of the command, like CMD of Docker.
    entrypoint
        Command in place of the image's, unless empty.
    environment
        Environment variables of the request.
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
    """Return the local path of a container's path below /opt/ml.

    Raises
    ------
    ValueError
        The path is not below /opt/ml.
    """
    path = PurePosixPath(container_path)
    if ".." in path.parts or not path.is_relative_to(OPT_ML):
        raise ValueError(f"LocalPath {container_path!r} must be below /opt/ml")
    return root / path.relative_to(OPT_ML)


def exit_code(process: subprocess.Popen[bytes]) -> int:
    """Return the exit code of an ended process as Docker reports it, such as 137 after SIGKILL."""
    code = process.returncode
    return 128 - code if code < 0 else code


def remove(folder: Path) -> None:
    """Remove the folder of a container. Ignore errors."""
    shutil.rmtree(folder, ignore_errors=True)
