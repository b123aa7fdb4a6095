"""Run queries in Athena's SQL on a DuckDB connection, without a region."""

from __future__ import annotations

import subprocess
import sys


def on_duckdb(query: str) -> str:
    """Translate a query to a DuckDB script, by the local region's command line.

    Raises
    ------
    RuntimeError
        The text is not a query in Athena's SQL.
    """
    command = [sys.executable, "-m", "localaws", "translate"]
    done = subprocess.run(command, input=query, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout
