"""The part of a document between ``<!-- name:begin -->`` and ``<!-- name:end -->``, which a tool writes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def read(document: Path, name: str) -> list[str]:
    """Return the lines of a part."""
    return _split(document, name)[1].splitlines()


def write(document: Path, name: str, lines: Iterable[str]) -> None:
    """Replace the lines of a part; the rest of the document is unchanged."""
    before, _, after = _split(document, name)
    document.write_text(before + "".join(f"{line}\n" for line in lines) + after, encoding="utf-8")


def _split(document: Path, name: str) -> tuple[str, str, str]:
    """Return the text before the part, marks included, the part, and the text after it.

    Raises
    ------
    ValueError
        The marks are missing.
    """
    begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
    before, opened, rest = document.read_text(encoding="utf-8").partition(begin)
    part, closed, after = rest.partition(end)
    if not (opened and closed):
        raise ValueError(f"{document} has no part called {name}. Put {begin.strip()} and {end} on lines of their own.")
    return before + opened, part, closed + after
