"""Senders to choose from. A sender takes a checked message and raises when the push was not accepted.

Name yours in the variable SENDER as ``module:function``. Marketing platforms take a time with a push ("send at"), which
is what ``send_at_utc`` is for: the queue is no clock, it delays a message 15 minutes at most.
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
    """Write the push into the log, and nothing else."""
    logger.info("push", extra={"push": message})


def webhook(message: dict[str, Any]) -> None:
    """POST the push as JSON to the address in WEBHOOK_URL, with the key in the header Idempotency-Key."""
    request = urllib.request.Request(
        os.environ["WEBHOOK_URL"],
        data=json.dumps(message).encode(),
        headers={"Content-Type": "application/json", "Idempotency-Key": message["idempotency_key"]},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=10):  # nosec B310 # the operator sets the address
        pass


def load(name: str) -> Sender:
    """Find a sender by ``module:function``.

    >>> load("functions.push_consumer.senders:log").__name__
    'log'
    """
    module, _, function = name.partition(":")
    sender: Sender = getattr(import_module(module), function)
    return sender
