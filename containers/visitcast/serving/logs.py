"""Write one line of JSON per event to stdout, which SageMaker sends to CloudWatch Logs.

Only SageMaker can reach the container, and only ``/ping`` and ``/invocations``, so a page of metrics could not be
scraped. A line in CloudWatch's embedded metric format is log and metrics at once:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import sys
import time
from functools import cache
from typing import Any, Final

NAMESPACE: Final = "visitcast"
DIMENSIONS: Final = {"Service": "serving"}
UNITS: Final = {
    "Invocations": "Count",
    "Errors": "Count",
    "Users": "Count",
    "PriorUsers": "Count",
    "Latency": "Milliseconds",
    "BytesIn": "Bytes",
    "BytesOut": "Bytes",
}
_to_json = json.JSONEncoder(separators=(",", ":")).encode


def event(name: str, **fields: Any) -> None:
    """Print an event."""
    _print(_to_json({"time": _now_ms(), "event": name, **fields}))


def invocation(metrics: dict[str, float], **fields: Any) -> None:
    """Print an invocation with its metrics, whose names are those of ``UNITS``."""
    now = _now_ms()
    record = _to_json({"time": now, "event": "invocation", **fields, **DIMENSIONS, **metrics})
    _print(f'{record[:-1]},"_aws":{{"Timestamp":{now},"CloudWatchMetrics":[{_directive(tuple(metrics))}]}}}}')


@cache
def _directive(names: tuple[str, ...]) -> str:
    described = [{"Name": name, "Unit": UNITS[name]} for name in names]
    return _to_json({"Namespace": NAMESPACE, "Dimensions": [list(DIMENSIONS)], "Metrics": described})


def _print(line: str) -> None:
    # One write per line: lines of processes that print at the same time do not mix.
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
