"""Reports of pushes as files of the table push_reports."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

PREFIX = "forecasts/push_reports"


def report_files(reports: Iterable[Mapping[str, Any]]) -> dict[str, bytes]:
    """Return one file of JSON Lines for each status and UTC date among some reports, by its key.

    The name is a digest of the content: the same batch, delivered again, writes the same files.
    """
    lines: dict[tuple[str, str], list[str]] = defaultdict(list)
    for report in reports:
        partition = report["status"], report["reported_at"][:10]
        lines[partition].append(json.dumps(report, sort_keys=True))
    files = {}
    for (status, day), of_partition in lines.items():
        body = "".join(f"{line}\n" for line in sorted(of_partition)).encode()
        files[f"{PREFIX}/status={status}/dt={day}/{sha256(body).hexdigest()[:32]}.json"] = body
    return files
