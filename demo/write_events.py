"""Write events as the events table needs them, one folder per UTC date: ``python -m demo.write_events``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from demo.cli import interruptible
from demo.errors import DemoError
from demo.events import checked, mapping_of_options, opened
from demo.simulator import World, simulate
from demo.upload import PREFIX, add_events, date_file, partition_files
from visitcast.events.command import Parser, mapping_options, with_events_args
from visitcast.events.mapping import EventsMapping

_URI = re.compile(r"s3://([^/]+)/+(.*?)/*")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0 if the files are there."""
    parser = Parser(prog="python -m demo.write_events", description=__doc__, parents=[mapping_options()])
    parser.add_argument("--events", type=Path, metavar="PATH", help="your events, file or folder; default: simulated")
    parser.add_argument("--output", default="build/events", help="new folder, or s3://bucket/events (%(default)s)")
    parser.add_argument(
        "--replace", action="store_true", help="in S3, replace the files of the dates that the events have"
    )
    parser.add_argument("--users", type=int, default=World.users, help="users to simulate (%(default)s)")
    parser.add_argument("--days", type=int, default=World.days, help="days to simulate (%(default)s)")
    options = parser.parse_args(with_events_args(parser, arguments))
    try:
        world = World(users=options.users, days=options.days)
    except ValueError as error:
        parser.error(str(error))

    def work(console: Console) -> int:
        mapping = mapping_of_options(options)
        if ":/" not in options.output:
            return write_events(options.events, mapping, Path(options.output), console, world)
        return upload_events(options.events, mapping, options.output, console, world, replace=options.replace)

    return interruptible(work)


def write_events(
    source: Path | None, mapping: EventsMapping | None, folder: Path, console: Console, world: World | None = None
) -> int:
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
        rows = _write(source, mapping, made, world, console)
        made.rename(folder)
    place = shlex.quote(f"{folder}/")
    console.print(f"{rows:,} events in {folder}. Next:", markup=False)
    console.print(f"aws s3 sync {place} s3://<BucketName>/{PREFIX}", markup=False, soft_wrap=True)
    return 0


def upload_events(
    source: Path | None,
    mapping: EventsMapping | None,
    uri: str,
    console: Console,
    world: World | None = None,
    *,
    replace: bool,
) -> int:
    """Convert an export, or simulated events, and put the files under an S3 prefix; return 0.

    All files are complete on this machine before the first is uploaded.

    Raises
    ------
    DemoError
        The events cannot be used, the prefix has other files of their dates, or S3 refuses.
    """
    place = _URI.fullmatch(uri)
    if place is None or not place[2]:
        raise DemoError(
            f"{uri} is not a place for events.",
            "It is no folder, and not of the form s3://<bucket>/<prefix>.",
            "Set OUT=s3://<BucketName>/events, or a folder.",
        )
    if boto3.Session().get_credentials() is None:
        raise DemoError(
            f"The events cannot be put into {uri}.",
            "There are no AWS credentials.",
            "Run `aws configure sso` or `aws configure`, or set AWS_PROFILE. For the local region: "
            'eval "$(.venv/bin/python -m localaws env)"',
        )
    bucket, prefix = place[1], f"{place[2]}/"
    with TemporaryDirectory(prefix="visitcast-events-") as scratch:
        folder = Path(scratch) / "events"
        rows = _write(source, mapping, folder, world, console)
        files = {f"{prefix}{file.relative_to(folder).as_posix()}": file for file in sorted(folder.glob("*/*"))}
        try:
            uploaded, removed = add_events(boto3.client("s3"), bucket, files, replace=replace)
        except (ClientError, BotoCoreError) as error:
            raise DemoError(
                f"The events were not put into {uri}.",
                f"{error}",
                "Check the bucket's name and region, and that your credentials may list, write and encrypt there.",
            ) from error
    there = len(files) - uploaded
    console.print(
        f"{rows:,} events in {uri}: {uploaded:,} files uploaded"
        + (f", {there:,} were there" if there else "")
        + (f", {removed:,} older ones of the same dates deleted" if removed else "")
        + ".",
        markup=False,
    )
    return 0


def _write(
    source: Path | None, mapping: EventsMapping | None, folder: Path, world: World | None, console: Console
) -> int:
    """Write ``dt=<date>/<digest>.parquet`` for every UTC date; return the number of events.

    The data report is shown first, and what it refuses is not written. There may be too few events to train on, since
    others may be in the table.
    """
    rows = 0
    files: Iterator[tuple[str, bytes]]
    with ExitStack() as running:
        if source:
            read = running.enter_context(opened(source, mapping))
            console.print(checked(read, source, whole=False), markup=False, soft_wrap=True)
            console.print()
            files = (date_file(date, events) for date, events in read.dates())
        else:
            files = partition_files(pa.concat_tables(block.events for block in simulate(world or World())))
        for key, content in files:
            file = folder / key.removeprefix(PREFIX)
            file.parent.mkdir(parents=True)
            file.write_bytes(content)
            rows += pq.read_metadata(file).num_rows
    return rows


if __name__ == "__main__":
    raise SystemExit(main())
