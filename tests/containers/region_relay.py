"""A way from containers to a server on 127.0.0.1, such as the local region."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

IP_FREEBIND = 15  # of <linux/in.h>; the socket module names it from Python 3.14 on


@contextmanager
def relay(host: str, port: int) -> Iterator[int]:
    """Pass connections to an address of this machine on to a port of 127.0.0.1; yields the port to connect to.

    Parameters
    ----------
    host
        The gateway of a container network: only its containers get there.
    port
        Where the server listens.
    """
    with socket.socket() as listener:
        # podman gives the gateway its address when the first container joins the network.
        listener.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
        listener.bind((host, 0))
        listener.listen()
        threading.Thread(target=_accept, args=(listener, port), daemon=True).start()
        yield listener.getsockname()[1]


def _accept(listener: socket.socket, port: int) -> None:
    with suppress(OSError):  # closed: the block has ended
        while True:
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", port))
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=_copy, args=(source, target), daemon=True).start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
