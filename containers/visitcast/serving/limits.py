"""Limits on the size of requests and answers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

MEBIBYTE = 1024 * 1024
REAL_TIME_BYTES = 6 * MEBIBYTE
"""SageMaker's limit for the body of a real-time invocation and for its answer."""
REAL_TIME_USERS = 10_000
"""Number of forecasts that fit into an answer. A batch transform takes any number: its answers have no limit."""
TRANSFORM_MEBIBYTES = 6
"""Default MaxPayloadInMB of a batch transform job."""


HELD_BYTES = 64 * MEBIBYTE
"""Bytes that a worker of an endpoint holds of bodies that have not arrived whole."""


@dataclass(frozen=True)
class Limits:
    """Largest request.

    Attributes
    ----------
    body_bytes : int
        Bytes of the body.
    answer_bytes : int or None
        Bytes of the answer; None without a limit.
    users : int or None
        Users; None without a limit.
    held_bytes : int or None
        Bytes of all bodies that are being read; None without a limit.
    """

    body_bytes: int = REAL_TIME_BYTES
    answer_bytes: int | None = REAL_TIME_BYTES
    users: int | None = REAL_TIME_USERS
    held_bytes: int | None = HELD_BYTES

    @property
    def are_of_an_endpoint(self) -> bool:
        """Whether requests are refused when too many come. In a batch transform SageMaker bounds their number."""
        return self.held_bytes is not None


def from_environment(environment: Mapping[str, str] = os.environ) -> Limits:
    """Return the limits of an endpoint, or of the batch transform that SageMaker's variables describe."""
    if environment.get("SAGEMAKER_BATCH", "").lower() != "true":
        return Limits()
    mebibytes = int(environment.get("SAGEMAKER_MAX_PAYLOAD_IN_MB") or TRANSFORM_MEBIBYTES)
    # 0 means no limit, as in MaxPayloadInMB.
    return Limits(
        body_bytes=mebibytes * MEBIBYTE if mebibytes else 2**63, answer_bytes=None, users=None, held_bytes=None
    )
