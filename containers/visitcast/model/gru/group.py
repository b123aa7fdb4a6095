"""The instances of one training job, and how they add up numbers.

No strategy of ``tf.distribute`` serves here: Keras 3 does not run under ``MultiWorkerMirroredStrategy``
(https://github.com/keras-team/keras/issues/20585), and its collectives cannot be part of a step that XLA compiles. What
data-parallel training needs is small: one sum of some 100,000 numbers a step. The first instance adds up what the
others send, in their order, so that the result does not depend on who is faster, and sends the sum back.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

PORT_VARIABLE: Final = "VISITCAST_TRAINING_PORT"
DEFAULT_PORT: Final = 8476
JOIN_SECONDS: Final = 300.0
"""Instances do not start at the same moment."""
ANSWER_SECONDS: Final = 600.0
"""Longest wait for another instance: it may be validating. One that ends or crashes is noticed at once."""
_RETRY_SECONDS: Final = 0.2
_HEADER: Final = struct.Struct("!IQ")  # sender's rank, length of the message


class InstanceLostError(Exception):
    """Another instance of the job is gone or silent."""


@dataclass(frozen=True)
class Group:
    """One instance's place among all.

    Attributes
    ----------
    rank : int
        0 for the first instance, which writes the model.
    size : int
        Number of instances.
    peers : dict
        Connection to each other instance by rank; those of higher rank know the first alone.
    """

    rank: int = 0
    size: int = 1
    peers: dict[int, socket.socket] = field(default_factory=dict)

    @property
    def leads(self) -> bool:
        """Whether this is the instance that validates and writes."""
        return self.rank == 0

    def sum(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Add up what all instances give; all get the same sum, bit for bit. Every instance must call it."""
        if self.size == 1:
            return values
        if not self.leads:
            self._send(0, values.tobytes())
            return np.frombuffer(self._receive(0), dtype=values.dtype).reshape(values.shape)
        total = values.copy()
        for rank in range(1, self.size):
            total += np.frombuffer(self._receive(rank), dtype=values.dtype).reshape(values.shape)
        self._send_to_all(total.tobytes())
        return total

    def from_first(self, value: Any) -> Any:
        """Give every instance the first one's value, which JSON must be able to hold; the others' is ignored."""
        if self.size == 1:
            return value
        if self.leads:
            self._send_to_all(json.dumps(value).encode())
            return value
        return json.loads(self._receive(0))

    def arrays_from_first(self, arrays: list[NDArray[Any]]) -> list[NDArray[Any]]:
        """Give every instance the first one's arrays; all must give arrays of the same shapes and types."""
        if self.size == 1:
            return arrays
        if self.leads:
            self._send_to_all(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays))
            return arrays
        received, begin, found = self._receive(0), 0, []
        for array in arrays:
            found.append(
                np.frombuffer(received, array.dtype, count=array.size, offset=begin).reshape(array.shape).copy()
            )
            begin += array.nbytes
        return found

    def _send_to_all(self, message: bytes) -> None:
        for rank in range(1, self.size):
            self._send(rank, message)

    def _send(self, to: int, message: bytes) -> None:
        try:
            self.peers[to].sendall(_HEADER.pack(self.rank, len(message)) + message)
        except OSError as error:
            raise _lost(to, error) from error

    def _receive(self, sender: int) -> bytes:
        try:
            _, length = _HEADER.unpack(_read(self.peers[sender], _HEADER.size))
            return _read(self.peers[sender], length)
        except OSError as error:
            raise _lost(sender, error) from error


def _lost(rank: int, error: OSError) -> InstanceLostError:
    return InstanceLostError(
        f"Instance {rank + 1} of the training job is gone or silent: {error or type(error).__name__}. "
        "Its own log says why; start the job again, it continues from its checkpoint."
    )


def _read(connection: socket.socket, length: int) -> bytes:
    buffer = bytearray(length)
    view, received = memoryview(buffer), 0
    while received < length:
        count = connection.recv_into(view[received:])
        if count == 0:
            raise ConnectionResetError("it closed the connection")
        received += count
    return bytes(buffer)


@contextmanager
def join(resource_config: Path) -> Iterator[Group]:
    """Join the other instances of this job for the time of the block.

    Parameters
    ----------
    resource_config : Path
        SageMaker's ``resourceconfig.json``: ``hosts`` and ``current_host``. Without it the job has one instance. The
        first of the sorted hosts leads.

    Raises
    ------
    InstanceLostError
        Another instance does not come in time.
    """
    described = json.loads(resource_config.read_text(encoding="utf-8")) if resource_config.is_file() else {}
    hosts = sorted(described.get("hosts", []))
    if len(hosts) < 2:
        yield Group()
        return
    rank = hosts.index(described["current_host"])
    port = int(os.environ.get(PORT_VARIABLE) or DEFAULT_PORT)
    peers = _accept(hosts, port) if rank == 0 else {0: _connect(hosts[0], port, rank)}
    try:
        for connection in peers.values():
            connection.settimeout(ANSWER_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a sum waits for every message
        yield Group(rank, len(hosts), peers)
    finally:
        for connection in peers.values():
            connection.close()


def _accept(hosts: list[str], port: int) -> dict[int, socket.socket]:
    peers: dict[int, socket.socket] = {}
    ends = time.monotonic() + JOIN_SECONDS
    with socket.create_server((hosts[0], port)) as listener:
        while len(peers) < len(hosts) - 1:
            listener.settimeout(max(0.01, ends - time.monotonic()))
            try:
                connection, _ = listener.accept()
                connection.settimeout(max(0.01, ends - time.monotonic()))
                rank, _ = _HEADER.unpack(_read(connection, _HEADER.size))
            except OSError as error:
                missing = [host for number, host in enumerate(hosts) if number and number not in peers]
                raise InstanceLostError(
                    f"{', '.join(missing)} did not join within {JOIN_SECONDS:.0f} s: {error}. Its own log says why."
                ) from error
            peers[rank] = connection
    return peers


def _connect(host: str, port: int, rank: int) -> socket.socket:
    ends = time.monotonic() + JOIN_SECONDS
    while True:
        try:
            connection = socket.create_connection((host, port), timeout=JOIN_SECONDS)
            connection.sendall(_HEADER.pack(rank, 0))
        except OSError as error:  # not listening yet, or its name is not known yet
            if time.monotonic() > ends:
                raise InstanceLostError(
                    f"The first instance, {host}, does not answer on port {port}: {error}. Its own log says why."
                ) from error
            time.sleep(_RETRY_SECONDS)
        else:
            return connection
