"""Number of usable cores, and of workers to run on them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from visitcast.errors import InputError

WORKERS_VARIABLE: Final = "SAGEMAKER_MODEL_SERVER_WORKERS"
"""As SageMaker's own images name it."""

QUOTA_FILE: Final = Path("/sys/fs/cgroup/cpu.max")
"""``quota period`` in microseconds, or ``max period``: https://docs.kernel.org/admin-guide/cgroup-v2.html"""


def workers(environment: Mapping[str, str] = os.environ) -> int:
    """Return the number of worker processes: that of the environment variable, or one per core.

    Raises
    ------
    InputError
        The variable is not a positive number.
    """
    wanted = environment.get(WORKERS_VARIABLE, "")
    if not wanted:
        return available()
    if not wanted.isdecimal() or int(wanted) < 1:
        raise InputError(
            "The number of workers is not valid.",
            f"{WORKERS_VARIABLE} is {wanted!r}.",
            "Use a whole number of at least 1.",
        )
    return int(wanted)


def available(quota_file: Path = QUOTA_FILE) -> int:
    """Return the number of cores that affinity and the container's quota leave; at least 1."""
    # macOS has no affinity.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = quota_file.read_text(encoding="ascii").split()
    except OSError:  # no container, or a kernel with the first version of control groups
        return cores
    return cores if quota == "max" else max(1, min(cores, int(quota) // int(period)))
