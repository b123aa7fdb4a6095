"""Entry point of the processing jobs: ``python -m sending requests`` and ``python -m sending plan``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from visitcast.contract import run
from visitcast.errors import InputError

JOBS = ("requests", "plan")


def main(arguments: Sequence[str]) -> None:
    """Run a job.

    Raises
    ------
    InputError
        There is no such job.
    """
    if len(arguments) != 1 or arguments[0] not in JOBS:
        raise InputError(
            "There is no such forecast job.",
            f"Arguments: {' '.join(arguments) or 'none'}.",
            f"Use one of: {', '.join(JOBS)}.",
        )
    # Imported here, under the contract: a library that does not load is reported too.
    from sending import job

    {"requests": job.requests, "plan": job.plan}[arguments[0]]()


if __name__ == "__main__":
    sys.exit(run(lambda: main(sys.argv[1:])))
