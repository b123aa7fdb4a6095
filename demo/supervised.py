"""Run a program that does not outlive its starter, however that ends: by SIGKILL too.

`command` wraps a program so that it runs below this script, whose standard input is a pipe of the starter. When the
starter ends, the kernel closes the pipe, and the script ends its process group, which must be its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

GRACE_SECONDS = 10.0


def command(argv: Sequence[str]) -> list[str]:
    """Return the command that runs a program below this script; needs a pipe as standard input and a new session."""
    return [sys.executable, "-I", "-S", __file__, *argv]  # without site-packages it starts in 20 ms


def main(argv: Sequence[str]) -> int:
    """Run a program to its end and return its exit status, as a shell has it."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _leave_to_program)
    try:
        program = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    except OSError as error:
        print(f"{argv[0]}: {error.strerror}", file=sys.stderr)
        return 127
    threading.Thread(target=_end_with_starter, daemon=True).start()
    status = program.wait()
    return status if status >= 0 else 128 - status


def _leave_to_program(_number: int, _frame: object) -> None:
    """Do nothing: the program is in the same process group and has the signal too. SIG_IGN would be inherited."""


def _end_with_starter() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
