"""Entry point of the image: ``python -m training train|evaluate``."""

from __future__ import annotations

import os
import sys

from visitcast import contract
from visitcast.errors import InputError

COMMANDS = ("train", "evaluate")


def main() -> None:
    """Run the command that SageMaker, or the container's default, names as first argument."""
    command, *arguments = sys.argv[1:] or ["train"]
    # TensorFlow's C++ start-up messages would fill the job's log.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # TensorFlow takes seconds to import: each command imports only what it needs.
    if command == "train":
        from training import train

        train.main()
    elif command == "evaluate":
        from training import evaluate

        evaluate.main(arguments)
    else:
        raise InputError(
            "The training image got an unknown command.",
            f"It is {command!r}.",
            f"Use one of {', '.join(COMMANDS)}.",
        )


if __name__ == "__main__":
    sys.exit(contract.run(main))
