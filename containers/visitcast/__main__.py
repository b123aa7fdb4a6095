"""Entry point of every image: ``python -m visitcast COMMAND``, as SageMaker or an image's default command starts it.

``python -m visitcast check FILE`` is for people: it reports on a log of events.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Final

from visitcast import contract
from visitcast.errors import InputError

COMMANDS: Final = {
    "preprocess": ("visitcast.preprocessing.job", "preprocess"),
    "combine": ("visitcast.preprocessing.job", "combine"),
    "train": ("visitcast.training.job", "main"),
    "evaluate": ("visitcast.evaluation.job", "main"),
    "requests": ("visitcast.sending.job", "requests"),
    "plan": ("visitcast.sending.job", "plan"),
    "serve": ("visitcast.serving.server", "main"),
}
"""Module and function of each command. Only ``evaluate`` takes arguments."""


def main(arguments: Sequence[str]) -> None:
    """Run a command.

    Raises
    ------
    InputError
        The command is unknown, or has arguments that it does not take.
    """
    command, *rest = arguments or [""]
    if command not in COMMANDS or (rest and command != "evaluate"):
        raise InputError(
            "The container got an unknown command.",
            f"It is {' '.join(arguments)!r}.",
            f"Use one of {', '.join(COMMANDS)}.",
        )
    if command == "serve":
        # Before NumPy is imported: a forecast's products are small, and requests run side by side already.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    module, function = COMMANDS[command]
    # Imported here, under the contract: a library that does not load is reported too, and SIGTERM is handled while the
    # libraries load, which takes seconds.
    run: Callable[..., None] = getattr(import_module(module), function)
    if command == "evaluate":
        run(rest)
    else:
        run()


if __name__ == "__main__":
    if sys.argv[1:2] == ["check"]:
        # For people, not for a job: no failure file, and another exit status for a log that cannot be used.
        sys.exit(import_module("visitcast.events.command").main(sys.argv[2:]))
    sys.exit(contract.run(lambda: main(sys.argv[1:])))
