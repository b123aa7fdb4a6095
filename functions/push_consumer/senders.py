"""Senders of the sample consumer. A sender takes a validated message and raises if the push was not accepted.

Name yours in the variable SENDER as ``module:function``. Pass ``send_at_utc`` on as the platform's "send at" time: SQS
delays a message 15 minutes at most.
"""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable
from importlib import import_module
from typing import Any

from aws_lambda_powertools import Logger

Sender = Callable[[dict[str, Any]], None]

logger = Logger(service="push_consumer")


def log(message: dict[str, Any]) -> None:
    """Write the push to the log only."""
    logger.info("push", extra={"push": message})


def webhook(message: dict[str, Any]) -> None:
    """POST the push as JSON to WEBHOOK_URL, with its key in the header Idempotency-Key."""
    request = urllib.request.Request(
        os.environ["WEBHOOK_URL"],
        data=json.dumps(message).encode(),
        headers={"Content-Type": "application/json", "Idempotency-Key": message["idempotency_key"]},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=10):  # nosec B310 # the operator sets the URL
        pass


def load(name: str) -> Sender:
    """Find a sender by ``module:function``.

    >>> load("functions.push_consumer.senders:log").__name__
    'log'
    """
    module, _, function = name.partition(":")
    sender: Sender = getattr(import_module(module), function)
    return sender
