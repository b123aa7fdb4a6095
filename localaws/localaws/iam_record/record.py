"""The record: each call of a role once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from localaws.identity import acting

FILE_NAME = "calls.jsonl"
"""Name of the file in the region's home: one call a line, so that it can be read while the region runs."""


@dataclass(frozen=True)
class Call:
    """What IAM decides about.

    Attributes
    ----------
    action
        As in a policy, such as ``s3:GetObject``.
    resource
        ARN, or ``*`` for an action that supports no resources.
    context
        Condition keys and their values, such as ``iam:PassedToService``.
    """

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


class Record:
    """Writes calls to a file as they are made. Nothing is written before `open`."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def open(self, home: Path) -> None:
        """Start a new record in a region's home."""
        with self._lock:
            home.mkdir(parents=True, exist_ok=True)
            self._path = home / FILE_NAME
            self._path.unlink(missing_ok=True)
            self._seen.clear()

    def add(self, calls: Iterable[Call]) -> None:
        """Record calls of the current role. The operator's calls are not recorded."""
        role = acting()
        if not role:
            return
        for call in calls:
            entry = {"role": role, "action": call.action, "resource": call.resource, "context": dict(call.context)}
            self._write(json.dumps(entry, sort_keys=True))

    def _write(self, line: str) -> None:
        with self._lock:
            if self._path is None or line in self._seen:
                return
            self._seen.add(line)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")


active = Record()
"""The record of this region."""
