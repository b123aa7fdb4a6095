"""The result of ``tools/prove.py``: report.json, report.html, a table for the terminal, and that of docs/proven.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import marked_part
from rich.table import Table

from visitcast.pages import render

PAGE = Path(__file__).with_name("prove_report.html.j2")
PART = "proven"
PLACES = ("local region", "AWS")
NOT_YET = "not yet"
MARKS = {"proven": "[green]✓[/]", "failed": "[red]✗[/]", "not run": "-"}


@dataclass
class Step:
    """A step: its promise, and how it ended: proven, failed or not run."""

    name: str
    promise: str
    status: str = "not run"
    seconds: float = 0.0
    dollars: float = 0.0
    answer: dict[str, Any] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True)
class Report:
    """All steps, where and when they were taken, and the revision of the checkout."""

    place: str
    revision: str
    began: datetime
    steps: list[Step]

    @property
    def proven(self) -> bool:
        """Whether every step did what it promises."""
        return all(step.status == "proven" for step in self.steps)

    @property
    def seconds(self) -> float:
        """Time of all steps."""
        return sum(step.seconds for step in self.steps)

    @property
    def dollars(self) -> float:
        """Estimated bill."""
        return sum(step.dollars for step in self.steps)


def write(report: Report, folder: Path) -> Path:
    """Write report.json and report.html; return the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "proven": report.proven,
        "place": report.place,
        "revision": report.revision,
        "began": report.began.isoformat(timespec="seconds"),
        "seconds": round(report.seconds, 1),
        "dollars": round(report.dollars, 4),
        "steps": [asdict(step) for step in report.steps],
    }
    (folder / "report.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    page = folder / "report.html"
    filters = {"indented": lambda value: json.dumps(value, indent=2)}
    page.write_text(render(PAGE.parent, PAGE.name, filters, report=report) + "\n", encoding="utf-8")
    return page


def table(report: Report) -> Table:
    """Return the steps as a table for the terminal."""
    shown = Table("", "step", "promise", "seconds", "USD", box=None, pad_edge=False, title_justify="left")
    for step in report.steps:
        shown.add_row(MARKS[step.status], step.name, step.promise, f"{step.seconds:.1f}", f"{step.dollars:.4f}")
    shown.add_row("", "all", report.place, f"{report.seconds:.1f}", f"{report.dollars:.4f}")
    return shown


def record(report: Report, document: Path) -> None:
    """Write date and revision of a proof into the column of its place in a document's table."""
    known = {row[0]: row for row in rows(document)}
    column = 2 if report.place == PLACES[0] else 3
    place = report.place.partition(", ")[2]
    done = " ".join(filter(None, (f"{report.began:%Y-%m-%d}", place, short(report.revision))))
    lines = [f"| step | what is proven | {' | '.join(PLACES)} |", "| --- | --- | --- | --- |"]
    for step in report.steps:
        row = known.get(step.name, [step.name, step.promise, NOT_YET, NOT_YET])
        row[1], row[column] = step.promise, done
        lines.append(f"| {' | '.join(row)} |")
    marked_part.write(document, PART, lines)


def short(revision: str) -> str:
    """Return the first characters of a revision, and whether files differed from it.

    >>> short("d76223bc6c2af2e0aa1a4d9e6d7d22e6f9f2c3b4+changes")
    'd76223bc6c+changes'
    """
    commit, plus, changes = revision.partition("+")
    return commit[:10] + plus + changes


def rows(document: Path) -> Iterator[list[str]]:
    """Yield the rows of a document's table: step, promise, and when it was proven in each place."""
    for line in marked_part.read(document, PART)[2:]:
        yield [cell.strip() for cell in line.strip("| ").split(" | ")]
