"""``<home>/region.json``: the address, process id and token of the running region. Only its user can read it."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localaws.access import TOKEN_HEADER
from localaws.settings import Settings

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""A proxy does not reach this machine."""


@dataclass(frozen=True)
class Running:
    """A region that answers requests."""

    endpoint_url: str
    pid: int
    region: str
    account_id: str
    token: str


class RegionFile:
    """The region file of one home."""

    def __init__(self, home: Path) -> None:
        self.path = home / "region.json"

    def write(self, settings: Settings, pid: int, token: str) -> None:
        """Write the file of a region. Readers see the whole file or none."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        document = {
            "endpoint_url": settings.endpoint_url,
            "pid": pid,
            "region": settings.region,
            "account_id": settings.account_id,
            "token": token,
        }
        partial = self.path.with_suffix(f".{pid}")
        partial.touch(mode=0o600)
        partial.write_text(json.dumps(document, indent=2) + "\n")
        partial.replace(self.path)

    def remove(self, pid: int) -> None:
        """Remove the file, unless another region has written its own since."""
        document = self._read()
        if document is not None and document.get("pid") == pid:
            self.path.unlink(missing_ok=True)

    def running(self) -> Running | None:
        """Return the running region. Return None if there is none, even if a region that died has left its file."""
        document = self._read()
        if document is None:
            return None
        try:
            found = Running(**document)
            request = urllib.request.Request(
                f"{found.endpoint_url}/_localaws/health", headers={TOKEN_HEADER: found.token}
            )
            with _OPENER.open(request, timeout=5) as answer:
                alive = json.load(answer)["pid"] == found.pid
        except (TypeError, KeyError, ValueError, OSError):
            return None
        return found if alive else None

    def _read(self) -> dict[str, Any] | None:
        try:
            document = json.loads(self.path.read_text())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        return document if isinstance(document, dict) else None
