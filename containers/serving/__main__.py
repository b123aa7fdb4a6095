"""Entry point of the image: ``python -m serving serve``, as SageMaker starts it."""

from __future__ import annotations

import os
import sys

# Before NumPy is imported: a forecast's products are small, and requests run side by side already.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from visitcast import contract
from visitcast.errors import InputError


def main() -> None:
    """Run the command that SageMaker names as first argument."""
    command = (sys.argv[1:] or ["serve"])[0]
    if command != "serve":
        raise InputError("The serving image got an unknown command.", f"It is {command!r}.", "Use serve.")
    from serving import server

    server.main()


if __name__ == "__main__":
    sys.exit(contract.run(main))
