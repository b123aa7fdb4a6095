"""Addresses of several instances on one machine."""

from __future__ import annotations

import socket
import sys

import pytest

needs_loopback_addresses = pytest.mark.skipif(sys.platform == "darwin", reason="127.0.0.2 leads nowhere on macOS")


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
