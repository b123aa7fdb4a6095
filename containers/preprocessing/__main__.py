"""Entry point of the processing job: ``python -m preprocessing``."""

from __future__ import annotations

import sys

from preprocessing.job import preprocess
from visitcast.contract import run

if __name__ == "__main__":
    sys.exit(run(preprocess))
