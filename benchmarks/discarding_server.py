"""A server that reads every body and discards it: what the same attack costs where nothing is computed.

The processes and the HTTP of the serving image, without its application.
"""

from __future__ import annotations

import os
import socket

from visitcast.serving import logs, processes
from visitcast.serving.application import Send
from visitcast.serving.bodies import Message, Receive

WORKERS = 2
_ANSWER = b"{}"


async def application(scope: Message, receive: Receive, send: Send) -> None:
    """Answer 200 when the body has been read."""
    del scope
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(_ANSWER)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _ANSWER})


def main() -> None:
    """Serve until SIGTERM."""
    address = ("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"]))
    listeners: list[socket.socket] = []
    while len(listeners) < WORKERS:
        listeners.append(socket.create_server(address, reuse_port=True))
        address = listeners[0].getsockname()
    logs.event("listening", port=address[1], workers=WORKERS)
    settings = {"loop": "uvloop", "http": "httptools", "interface": "asgi3", "lifespan": "off", "access_log": False}
    processes.run(lambda: application, listeners, {**settings, "log_level": "warning", "timeout_graceful_shutdown": 5})


if __name__ == "__main__":
    main()
