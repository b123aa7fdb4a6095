"""The context of jobs and endpoints: settings, account, S3, folders and logs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from localaws import s3files
from localaws.sagemaker.logs import LogTail
from localaws.settings import Settings


@dataclass(frozen=True)
class Context:
    """The context of the jobs and endpoints of one account and region."""

    settings: Settings
    account_id: str
    region: str

    @property
    def store(self) -> s3files.Store:
        """Return the S3 of the account."""
        return s3files.Store(self.account_id, self.region)

    def folder(self, kind: str, name: str) -> Path:
        """Return the folder of a job or endpoint."""
        parent = "endpoints" if kind == "endpoint" else "jobs"
        return self.settings.home / parent / f"{kind}-{name}"

    def log_path(self, folder: Path, host: str) -> Path:
        """Return the log file of an instance. It stays after the folder has been removed."""
        return folder.parent / "logs" / f"{folder.name}-{host}.log"

    def follow(self, log_path: Path, group: str, stream: str, on_line: Callable[[str], None] | None = None) -> LogTail:
        """Send the lines of a growing log file to CloudWatch Logs."""
        return LogTail(log_path, self.account_id, self.region, group, stream, on_line)
