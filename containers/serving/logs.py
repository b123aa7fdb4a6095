"""One line of JSON per event on stdout, where SageMaker sends it to CloudWatch Logs.

SageMaker lets nobody but itself reach the container, and only ``/ping`` and ``/invocations``, so there is no page of
metrics to scrape. A line in CloudWatch's embedded metric format is log and metrics at once:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import time
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


def event(name: str, **fields: Any) -> None:
    """Print an event."""
    print(json.dumps({"time": _now_ms(), "event": name, **fields}, separators=(",", ":")), flush=True)


def invocation(metrics: dict[str, float], **fields: Any) -> None:
    """Print an invocation with its metrics, whose names are those of ``UNITS``."""
    described = [{"Name": name, "Unit": UNITS[name]} for name in metrics]
    directive = {"Namespace": NAMESPACE, "Dimensions": [list(DIMENSIONS)], "Metrics": described}
    event(
        "invocation",
        **fields,
        **DIMENSIONS,
        **metrics,
        _aws={"Timestamp": _now_ms(), "CloudWatchMetrics": [directive]},
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
