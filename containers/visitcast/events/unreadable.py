"""Explain why an export cannot be read: the file, the line, the cause and the remedy, in place of DuckDB's words."""

from __future__ import annotations

import csv
import gzip
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, cast

from visitcast.errors import InputError

KNOWN: Final = "Supply CSV, TSV, JSON Lines or Parquet, also as .gz, .bz2 or .zip, or a folder of one kind of them."
_SEPARATORS: Final = ",;|\t"
_ENDS: Final = {"\n": "LF", "\r\n": "CR LF", "\r": "CR"}
_LONGEST_LINE: Final = 160
_LONGEST_CAUSE: Final = 600
"""Characters of DuckDB's explanations, which repeat the row and list the settings."""
_LOOKED_AT: Final = 32_000_000
"""Characters of a file whose rows cannot be cut: a second's work."""
_AGAIN: Final = "The file seems to be cut off: export or download it again."
_AGAIN_OR_CORRECT: Final = "Correct this line, or export the file again."
_NOT_UTF8: Final = "is not UTF-8, but perhaps Latin-1 or Windows-1252."
_SAME_END: Final = r"sed 's/\r$//' | tr '\r' '\n'"
_AFTER_QUOTE: Final = re.compile(r'(?:^|[,;|\t])"(?:[^"]|"")*"(?!["\r\n,;|\t]|\Z)')


def unreadable(path: Path, error: Exception) -> InputError:
    """Return the error for an export that DuckDB cannot read."""
    text = f"{error}"
    named = re.search(r'file "([^"]+)"', text) or re.search(r"^\s*file\s*=\s*(.+?)\s*$", text, re.MULTILINE)
    read = Path(named[1]) if named else path  # of an archive an unpacked file
    shown = read if path.is_dir() else path
    cause, remedy = _explained(text, read, shown.name)
    return InputError(f"{shown} cannot be read.", printable(cause), printable(remedy))


def why_not_cut(file: Path) -> tuple[str, str] | None:
    """Return which line of a CSV file cannot be cut into fields, and what helps; None if none is found.

    Looks at the beginning of a large file only.
    """
    try:
        return next(_wrong_lines(file), None)
    except (OSError, EOFError, UnicodeError, csv.Error):
        return None


def printable(text: str) -> str:
    """Escape what a terminal would obey instead of show; lines stay."""
    return "".join(
        character if character.isprintable() or character == "\n" else repr(character)[1:-1] for character in text
    )


def header_of(file: Path) -> list[str]:
    """Return the column names of a CSV file; none where its header cannot be cut."""
    try:
        with _opened(file) as lines:
            header = next((line.rstrip("\r\n") for line in lines if line.strip()), "")
        return _fields(header, _separator_of(header))
    except (UnicodeError, csv.Error):
        return []


def _explained(text: str, file: Path, name: str) -> tuple[str, str]:
    """Return cause and remedy of one of DuckDB's errors."""
    line = re.search(r"CSV Error on Line: (\d+)", text)
    if line and "unicode" in text:
        if _encoding(file) == "utf-16":
            return "It is a packed file in UTF-16.", f"Convert it to UTF-8: {_piped(name, 'iconv -f UTF-16 -t UTF-8')}"
        return f"Line {line[1]} {_NOT_UTF8}", _to_utf8(name)
    if json := re.search(r"Malformed JSON in file .*?, at byte \d+ in (line|record/value) (\d+): (.*)", text):
        where = f"{'Line' if json[1] == 'line' else 'Record'} {int(json[2]) - 1}"  # DuckDB counts from 2
        if "UTF-8" in json[3]:
            return f"{where} {_NOT_UTF8}", _to_utf8(name)
        return f"{where} is not JSON: {json[3].rstrip('. ')}.", f"{_AGAIN} Or remove this line."
    if "Unexpected end of GZIP stream" in text:
        return "The compressed file ends in the middle.", _AGAIN
    if "No magic bytes found at end of file" in text:
        return "It has no footer, as every Parquet file has at its end.", _AGAIN
    if (line or "Error when sniffing file" in text) and (found := why_not_cut(file)):
        return found
    # What follows a blank line are settings of DuckDB, and its solutions are options that visitcast does not have.
    explanation = text.partition("\n\n")[0].splitlines()
    lines = [part.strip()[:_LONGEST_LINE] for part in explanation if not part.startswith(("Possible", "  file"))]
    return " ".join(filter(None, lines))[:_LONGEST_CAUSE], KNOWN


def _wrong_lines(file: Path) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the lines of a CSV file."""
    separator, names, first_end, quoted_from, read = "", 0, "", 0, 0
    with _opened(file) as lines:
        for number, line in enumerate(lines, 1):
            read += len(line)
            if read > _LOOKED_AT:
                return
            text = line.rstrip("\r\n")
            end = _ENDS.get(line[len(text) :], "")
            if number == 1:
                separator, first_end = _separator_of(text), end
            elif end and not quoted_from and end != first_end:
                cause = f"Line {number} ends with {end}, the first line with {first_end}: the line ends are mixed."
                yield cause, f"Give all lines the same end: {_piped(file.name, _SAME_END)}"
            if text.count('"') % 2:
                quoted_from = 0 if quoted_from else number
            elif not quoted_from and text:
                if _AFTER_QUOTE.search(text):
                    yield f"Line {number} has text after a closing quote.", _AGAIN_OR_CORRECT
                fields = len(_fields(text, separator))
                names = names or fields
                if fields != names:
                    yield f"Line {number} has {fields} fields, the header has {names}.", _AGAIN_OR_CORRECT
    if quoted_from:
        yield f"Line {quoted_from} has a quote that is never closed.", _AGAIN_OR_CORRECT


def _to_utf8(name: str) -> str:
    return f"Convert it to UTF-8: {_piped(name, 'iconv -f WINDOWS-1252 -t UTF-8')}"


def _piped(name: str, program: str) -> str:
    """Return the command line that sends a file through a program to a new file."""
    packed, kind = name.lower().endswith(".gz"), "jsonl" if ".json" in name.lower() else "csv"
    return f"{'gunzip -c' if packed else 'cat'} {shlex.quote(name)} | {program} > corrected.{kind}"


def _separator_of(header: str) -> str:
    """Return the separator that a header line has most often."""
    return max(_SEPARATORS, key=header.count)


def _fields(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator), [])


def _encoding(file: Path) -> str:
    with gzip.open(file) if _packed(file) else file.open("rb") as content:
        return "utf-16" if content.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def _packed(file: Path) -> bool:
    return file.suffix.lower() == ".gz"


def _opened(file: Path) -> IO[str]:
    """Open a CSV file as text, its line ends as they are."""
    opener = gzip.open if _packed(file) else open
    return cast(IO[str], opener(file, "rt", encoding=_encoding(file), errors="replace", newline=""))
