"""Sends a growing log file to CloudWatch Logs while its process runs."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from moto.logs.exceptions import ResourceAlreadyExistsException
from moto.logs.models import logs_backends

from localaws.iam_record import Call, active

POLL_SECONDS = 0.1
BATCH_LINES = 10_000
"""PutLogEvents takes at most 10,000 events (API reference)."""


class LogTail:
    """Sends the lines of a log file in a thread of its own.

    Parameters
    ----------
    path
        Log file, which need not exist yet. Its present content is skipped.
    account_id, region, group, stream
        Log stream of CloudWatch Logs.
    on_line
        Called with each line.
    """

    def __init__(
        self,
        path: Path,
        account_id: str,
        region: str,
        group: str,
        stream: str,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        self._path, self._group, self._stream = path, group, stream
        self._backend: Any = logs_backends[account_id][region]
        self._on_line = on_line
        arn = f"arn:aws:logs:{region}:{account_id}:log-group:{group}"
        active.add(
            [
                Call("logs:CreateLogGroup", f"{arn}:*"),
                Call("logs:CreateLogStream", f"{arn}:*"),
                Call("logs:DescribeLogStreams", f"{arn}:*"),
                Call("logs:PutLogEvents", f"{arn}:log-stream:{stream}"),
            ]
        )
        self._ended = threading.Event()
        self._position = path.stat().st_size if path.exists() else 0
        with contextlib.suppress(ResourceAlreadyExistsException):
            self._backend.create_log_group(group, {})
        with contextlib.suppress(ResourceAlreadyExistsException):
            self._backend.create_log_stream(group, stream)
        self._thread = threading.Thread(target=self._follow, name=f"log-{stream}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send the remaining lines, including an unfinished one, and end the thread."""
        self._ended.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            self._send(whole_lines=True)
        self._send(whole_lines=False)

    def _send(self, *, whole_lines: bool) -> None:
        try:
            with self._path.open("rb") as file:
                file.seek(self._position)
                data = file.read()
        except FileNotFoundError:
            return
        end = data.rfind(b"\n") + 1 if whole_lines else len(data)
        self._position += end
        lines = [line for line in data[:end].decode("utf-8", "replace").splitlines() if line.strip()]
        for start in range(0, len(lines), BATCH_LINES):
            self._put(lines[start : start + BATCH_LINES])
        if self._on_line is not None:
            for line in lines:
                self._on_line(line)

    def _put(self, lines: list[str]) -> None:
        now = round(time.time() * 1000)
        group = self._backend.groups.get(self._group)
        if (
            group is not None and self._stream in group.streams
        ):  # if the stream was deleted, the lines are lost, as on AWS
            group.put_log_events(self._stream, [{"timestamp": now, "message": line} for line in lines])
