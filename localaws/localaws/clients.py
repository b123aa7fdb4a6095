"""boto3 clients for the region itself: its services call one another through their APIs, as those of AWS do."""

from __future__ import annotations

import threading
from typing import Any

import boto3
from botocore.config import Config

from localaws.identity import access_key_id
from localaws.settings import SECRET_ACCESS_KEY, Settings

_clients: dict[tuple[str, str, str, str, bool], Any] = {}
_lock = threading.Lock()


def client(settings: Settings, service: str, region: str | None = None, *, checks: bool = True) -> Any:
    """Return the client of a service, with the credentials of the current identity.

    With `checks` it refuses parameters that the model of the service does not allow, before it sends them.

    Clients are shared, since they are thread-safe but slow to create. A client tries once, because the state machine or
    the stack decides about retries, and it waits longer than a function may run, which is 15 minutes.
    """
    region = region or settings.region
    with _lock:
        key = (settings.endpoint_url, service, region, access_key_id(), checks)
        if key not in _clients:
            make: Any = boto3.client  # its type lists the literal names of all services
            _clients[key] = make(
                service,
                region_name=region,
                endpoint_url=settings.endpoint_url,
                aws_access_key_id=access_key_id(),
                aws_secret_access_key=SECRET_ACCESS_KEY,
                config=Config(
                    retries={"total_max_attempts": 1},
                    connect_timeout=5,
                    read_timeout=1000,
                    max_pool_connections=64,
                    parameter_validation=checks,
                ),
            )
        return _clients[key]
