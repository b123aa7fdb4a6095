"""Entry point of the processing job: ``python -m preprocessing``."""

from __future__ import annotations

import sys

from visitcast.contract import run


def main() -> None:
    """Run the job."""
    # Imported here, under the contract: a library that does not load is reported too, and SIGTERM is heard while the
    # libraries load, which takes seconds.
    from preprocessing.job import preprocess

    preprocess()


if __name__ == "__main__":
    sys.exit(run(main))
