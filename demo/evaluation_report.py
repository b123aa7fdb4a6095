"""Download the report of an evaluation."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REPORT = "report.html"


def remove_report(folder: Path) -> None:
    """Remove the report of an earlier run, so that it is not taken for one of a run that fails."""
    (folder / REPORT).unlink(missing_ok=True)


def fetch_report(s3: S3Client, bucket: str, evaluation_key: str, folder: Path) -> Path:
    """Copy the report, which lies beside ``evaluation.json``, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{REPORT}.{os.getpid()}"
    s3.download_file(bucket, f"{evaluation_key.rpartition('/')[0]}/{REPORT}", str(partial))
    return partial.replace(folder / REPORT)
