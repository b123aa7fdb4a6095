"""Read the events that the user brings, and report on them before anything is built."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from demo.errors import DemoError
from visitcast.errors import InputError
from visitcast.events import reading
from visitcast.events.command import mapping_of, mapping_options
from visitcast.events.mapping import EventsMapping
from visitcast.events.report import as_text, report_on


def mapping_of_options(parsed: argparse.Namespace) -> EventsMapping | None:
    """Return how a command line says that its events are read; None without events."""
    if parsed.events is None:
        return None
    with _as_demo_error():
        return mapping_of(parsed, parsed.events)


def read_events(path: Path, mapping: EventsMapping | None = None) -> pa.Table:
    """Read an export and bring it into the types of the events table.

    Parameters
    ----------
    path : Path
        File or folder.
    mapping : EventsMapping, optional
        Default: an ``events.toml`` beside the events, else what their columns tell.

    Raises
    ------
    DemoError
        Naming the column, the rule and up to five offending rows.
    """
    with _as_demo_error():
        return reading.read_events(path, mapping or _default(path))


@contextmanager
def opened(path: Path, mapping: EventsMapping | None = None) -> Iterator[reading.Events]:
    """Read an export as `read_events` does, into a database instead of memory."""
    with _as_demo_error(), reading.reading(path, mapping or _default(path)) as events:
        yield events


def read_and_check(path: Path, mapping: EventsMapping | None = None) -> tuple[pa.Table, str]:
    """Read an export as `read_events` does, and report on it.

    Returns
    -------
    tuple of pyarrow.Table and str
        The events and the data report.

    Raises
    ------
    DemoError
        The events cannot be read, or no model can learn from them.
    """
    with _as_demo_error(), reading.reading(path, mapping or _default(path)) as events:
        report = checked(events, path)
        return events.table(), report


def checked(events: reading.Events, path: Path, *, whole: bool = True) -> str:
    """Return the data report of events that were read; `whole`: whether they must be enough to train on.

    Raises
    ------
    DemoError
        The report refuses them.
    """
    with _as_demo_error():
        report = report_on(events, path, whole=whole)
    if refused := report.refused:
        raise DemoError(refused.headline, refused.cause, refused.remedy)
    return as_text(report)


def _default(path: Path) -> EventsMapping:
    return mapping_of(mapping_options().parse_args([]), path)


@contextmanager
def _as_demo_error() -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise DemoError(error.headline, error.cause, error.remedy) from error
