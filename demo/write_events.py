"""Write events as the events table needs them, one folder per UTC date: ``python -m demo.write_events``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from demo.cli import interruptible
from demo.errors import DemoError
from demo.events import mapping_of_options, opened
from demo.simulator import World, simulate
from demo.upload import PREFIX, date_file, partition_files
from visitcast.events.command import mapping_options
from visitcast.events.mapping import EventsMapping


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0 if the files are there."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.write_events", description=__doc__, parents=[mapping_options()]
    )
    parser.add_argument("--events", type=Path, metavar="PATH", help="your events, file or folder; default: simulated")
    parser.add_argument("--output", type=Path, default=Path("build/events"), help="new folder (%(default)s)")
    options = parser.parse_args(arguments)

    def work(console: Console) -> int:
        return write_events(options.events, mapping_of_options(options), options.output, console)

    return interruptible(work)


def write_events(source: Path | None, mapping: EventsMapping | None, folder: Path, console: Console) -> int:
    """Convert an export, or simulated events, to files for ``aws s3 sync``; return 0.

    Raises
    ------
    DemoError
        The events cannot be used, or the folder exists: old and new events side by side would be counted twice.
    """
    if folder.exists():
        raise DemoError(f"{folder} exists.", "Its events would be counted too.", "Delete it, or set OUT= to another.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent) as unfinished:
        made = Path(unfinished) / folder.name
        rows = _write(source, mapping, made)
        made.rename(folder)
    console.print(f"{rows:,} events in {folder}. Next: aws s3 sync {folder}/ s3://<BucketName>/{PREFIX}")
    return 0


def _write(source: Path | None, mapping: EventsMapping | None, folder: Path) -> int:
    """Write ``dt=<date>/<digest>.parquet`` for every UTC date; return the number of events."""
    rows = 0
    files: Iterator[tuple[str, bytes]]
    with ExitStack() as running:
        if source:
            dates = running.enter_context(opened(source, mapping)).dates()
            files = (date_file(date, events) for date, events in dates)
        else:
            files = partition_files(pa.concat_tables(block.events for block in simulate(World())))
        for key, content in files:
            file = folder / key.removeprefix(PREFIX)
            file.parent.mkdir(parents=True)
            file.write_bytes(content)
            rows += pq.read_metadata(file).num_rows
    return rows


if __name__ == "__main__":
    raise SystemExit(main())
