"""SageMaker's contract with a container: exit codes, failure files, signals, progress lines, whole outputs."""

from __future__ import annotations

import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from visitcast import paths
from visitcast.errors import MESSAGE_LIMIT, InputError

EXIT_FAILURE = 1
EXIT_TERMINATED = 128 + signal.SIGTERM


class Terminated(BaseException):
    """SIGTERM arrived: SageMaker wants the job to stop. Not an ``Exception``, so that no handler swallows it."""


def run(main: Callable[[], None]) -> int:
    """Run a job and translate how it ends into SageMaker's terms.

    An exception leaves its traceback on stderr and one message for people in the failure and the message file.
    SIGTERM raises :class:`Terminated` inside ``main``, so ``finally`` blocks and context managers clean up; SageMaker
    kills the container 120 s later. As process 1 Python ignores SIGTERM unless a handler is set.

    Parameters
    ----------
    main : callable
        The job. May call ``sys.exit``.

    Returns
    -------
    int
        Exit code: 0, 1 after an exception, 143 after SIGTERM.
    """
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        main()
    except Terminated:
        print("stopped by SIGTERM", file=sys.stderr, flush=True)
        return EXIT_TERMINATED
    except Exception as error:  # noqa: BLE001 - the last line of defence: everything must be reported
        traceback.print_exc()
        report_failure(error)
        return EXIT_FAILURE
    finally:
        signal.signal(signal.SIGTERM, previous)
    return 0


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    # A second SIGTERM must not break into the clean-up that the first one started.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated


def report_failure(error: Exception) -> None:
    """Write why the job failed to where SageMaker reads it, for training and for processing jobs."""
    text = failure_message(error)
    for file in (paths.failure_file(), paths.message_file()):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def failure_message(error: Exception) -> str:
    """Headline, cause and remedy of an exception, at most 1,024 characters."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, MemoryError):
        return "The job ran out of memory.\n" + f"{error}"[:500] + "\nUse a larger instance type."
    return str(
        InputError(
            f"The job failed: {type(error).__name__}.",
            str(error) or "The exception carries no message.",
            "The job's log holds the full traceback.",
        )
    )[:MESSAGE_LIMIT]


def progress(fraction: float, text: str) -> None:
    """Print ``progress=0.42 doing what``, which people and the demo's progress bar read from the job's log."""
    print(f"progress={min(max(fraction, 0.0), 1.0):.2f} {text}", flush=True)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Fill a folder completely or not at all.

    Yields an empty sibling folder. When the block succeeds its entries move into `folder`; when it raises they are
    removed and `folder` stays as it was. `folder` may exist (SageMaker makes it, often as a mount point that cannot
    be replaced) but must then be empty.

    Raises
    ------
    InputError
        `folder` already holds something. Nothing is overwritten.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InputError(
            "The output folder is not empty.",
            f"{folder} already holds files, and nothing already written is overwritten.",
            "Use a new or empty folder.",
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        _move_into(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _move_into(temporary: Path, folder: Path) -> None:
    try:
        # On POSIX rename replaces an empty folder atomically.
        temporary.rename(folder)
    except OSError:
        # A mount point cannot be replaced: move the entries instead.
        for entry in sorted(temporary.iterdir()):
            shutil.move(entry, folder / entry.name)
