"""Where the jobs and endpoints of one account and region run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from localaws import s3files
from localaws.sagemaker.logs import LogTail
from localaws.settings import Settings


@dataclass(frozen=True)
class Context:
    """What every job and endpoint needs to know of its surroundings."""

    settings: Settings
    account_id: str
    region: str

    @property
    def store(self) -> s3files.Store:
        """The objects of this account."""
        return s3files.Store(self.account_id, self.region)

    def folder(self, kind: str, name: str) -> Path:
        """Return the folder of a job or endpoint."""
        parent = "endpoints" if kind == "endpoint" else "jobs"
        return self.settings.home / parent / f"{kind}-{name}"

    def log_path(self, folder: Path, host: str) -> Path:
        """Return a host's log file; it stays until the region stops, when its folder is long gone."""
        return folder.parent / "logs" / f"{folder.name}-{host}.log"

    def follow(self, log_path: Path, group: str, stream: str, on_line: Callable[[str], None] | None = None) -> LogTail:
        """Follow a log file into CloudWatch Logs."""
        return LogTail(log_path, self.account_id, self.region, group, stream, on_line)
