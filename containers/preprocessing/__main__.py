"""Entry point of the processing jobs: ``python -m preprocessing`` and, after several instances, ``... combine``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from visitcast.contract import run
from visitcast.errors import InputError


def main(arguments: Sequence[str] = ()) -> None:
    """Run a job.

    Raises
    ------
    InputError
        There is no such job.
    """
    if list(arguments) not in ([], ["combine"]):
        raise InputError(
            "There is no such preprocessing job.",
            f"Arguments: {' '.join(arguments)}.",
            "Use no argument to preprocess, or `combine` to complete what several instances preprocessed.",
        )
    # Imported here, under the contract: a library that does not load is reported too, and SIGTERM is heard while the
    # libraries load, which takes seconds.
    from preprocessing.job import combine, preprocess

    if arguments:
        combine()
    else:
        preprocess()


if __name__ == "__main__":
    sys.exit(run(lambda: main(sys.argv[1:])))
