"""Only one demo at a time writes into a folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from demo.errors import DemoError

SAM_BUILD = Path("build/.sam-build.lock")
"""Lock of .aws-sam, which all demos of a clone share."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, which is created if necessary, until the block ends or the process dies.

    Raises
    ------
    DemoError
        Another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise DemoError(
                "Another demo runs in this clone.",
                f"It is {file.read() or 'a process that has just begun'}. It writes into {path.parent}/ and .aws-sam/.",
                "Wait for it, or use a second clone.",
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()}, since {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
        file.flush()
        yield
