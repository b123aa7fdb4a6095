"""A large export from the file to the data report, and to the files of the events table."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import psutil

from benchmarks.pipeline import Figure, PeakMemory

ROWS = 20_000_000
QUICK_ROWS = 200_000
_USERS_PER_ROW = 100
_DAYS = 365
_EVENTS_OF_A_VISIT = 4


def measure(quick: bool = False) -> list[Figure]:
    """Make an export, then run ``make check-events`` and ``make events`` on it, each in a process of its own."""
    rows = QUICK_ROWS if quick else ROWS
    subject = f"{rows / 1e6:g} million events"
    with tempfile.TemporaryDirectory(prefix="visitcast-bench-") as scratch:
        export = Path(scratch) / "export.parquet"
        make_export(export, rows)
        report, report_bytes = _run("visitcast", "check", f"{export}")
        cut, cut_bytes = _run("demo.write_events", "--events", f"{export}", "--output", f"{scratch}/events")
        files = sum(1 for _ in Path(scratch).glob("events/*/*.parquet"))
        return [
            Figure(subject, "Parquet", export.stat().st_size / 1e6, "MB"),
            Figure(subject, "data report", report, "s"),
            Figure(subject, "peak memory of the report", report_bytes / 1e9, "GB"),
            Figure(subject, "read and cut into dates", cut, "s", "< 40 for 20 million"),
            Figure(subject, "peak memory of the cut", cut_bytes / 1e9, "GB", "< 2"),
            Figure(subject, "files, one for each UTC date", files, ""),
        ]


def make_export(file: Path, rows: int) -> None:
    """Write events of a year in groups of one user's visit; the same for every call, since hashes stand for chance."""
    visit = f"(i // {_EVENTS_OF_A_VISIT})"
    user = f"(hash({visit}) % {rows // _USERS_PER_ROW})"
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT 'user-' || lpad({user}::VARCHAR, 7, '0') AS user_id, TIMESTAMPTZ '2025-11-20 00:00:00+00' "
            f"+ to_milliseconds((hash({visit}, 1) % ({_DAYS} * 86400000::UBIGINT) + i % {_EVENTS_OF_A_VISIT} * 60000)"
            "::BIGINT) AS event_time, "
            f"(hash({user}) % 5 * 60)::SMALLINT AS utc_offset_minutes, (hash(i, 2) % 4 + 1)::TINYINT AS page_type, "
            f"['ios', 'android', 'web', 'other'][(hash({user}) % 4 + 1)::INTEGER] AS platform FROM range({rows}) t(i)) "
            f"TO '{file}' (FORMAT parquet)"
        )


def _run(module: str, *arguments: str) -> tuple[float, int]:
    """Return the seconds and the peak memory of ``python -m``."""
    start = time.monotonic()
    process = psutil.Popen([sys.executable, "-m", module, *arguments], stdout=subprocess.DEVNULL)
    peak = PeakMemory(process.pid)
    status = process.wait()
    seconds = time.monotonic() - start
    peak_bytes = peak.stop()
    if status:
        raise RuntimeError(f"{module} failed with status {status}.")
    return seconds, peak_bytes
