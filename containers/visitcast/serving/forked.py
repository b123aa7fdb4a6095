"""A process that computes large requests beside the event loop.

Reading a body of 6 MB and writing its answer hold the interpreter's lock for tenths of a second at a time, in which a
thread would stop every other request. The process is forked when the first large request comes, and shares the model's
memory. In an endpoint it has a lower priority: an event loop that wakes up for a small request or ``/ping`` goes first.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import pickle  # nosec B403 # between a process and its fork
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable
from typing import Any, Final, NoReturn

from visitcast.serving import logs

_LENGTH: Final = struct.Struct("!Q")
_BUFFER_BYTES: Final = 2**20
_FIRST_AFTER_STDERR: Final = 3
_MOST_FILES: Final = 2**20
_PR_SET_PDEATHSIG: Final = 1
"""https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html"""
_libc: Final = ctypes.CDLL(None)


class ProcessError(Exception):
    """The process has raised an exception, whose traceback this holds, or has ended before it answered."""


class Forked:
    """A process that calls a function, forked at the first call and again after it has ended.

    It ends with the process that forked it: on Linux at once, elsewhere when it next reads its connection.

    Parameters
    ----------
    function : callable
        Gets one argument; argument and result can be pickled.
    niceness : int
        Added to the priority number of the process: https://man7.org/linux/man-pages/man2/nice.2.html
    limit_s : float, optional
        Seconds after which a call that has no result ends the process. Default: none.
    """

    def __init__(self, function: Callable[[Any], Any], niceness: int = 0, limit_s: float | None = None) -> None:
        self._function = function
        self._limit_s = limit_s
        self._niceness = niceness
        self._pid = 0
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, argument: Any) -> Any:
        """Call the function in the process. Another call may begin when this one has ended.

        Raises
        ------
        ProcessError
            The function has raised an exception, the process has ended, or it has taken too long.
        """
        try:
            async with asyncio.timeout(self._limit_s):
                result = await self._result(argument)
        except BaseException as error:
            # Whatever interrupts a call, even the end of the event loop: nobody will read what the process computes.
            code = self._end()
            if isinstance(error, TimeoutError):
                raise ProcessError(f"The process took longer than {self._limit_s} s.") from error
            if isinstance(error, asyncio.IncompleteReadError | ConnectionError):
                raise ProcessError(f"The process ended with exit code {code}.") from error
            raise
        if isinstance(result, ProcessError):
            raise result
        return result

    async def _result(self, argument: Any) -> Any:
        if self._streams is None:
            self._streams = await self._start()
        reader, writer = self._streams
        written = pickle.dumps(argument)
        writer.writelines((_LENGTH.pack(len(written)), written))
        await writer.drain()
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        return pickle.loads(await reader.readexactly(length))  # nosec B301 # written by this program

    def _end(self) -> int | None:
        """Kill the process if it still runs, and return its exit code; the next call forks another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
        if not self._pid:  # it could not be forked
            return None
        pid, self._pid = self._pid, 0
        os.kill(pid, signal.SIGKILL)  # not collected yet, so the number is still its own
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        logs.event("large requests failed", pid=pid, exit_code=code)
        return code

    async def _start(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        ours, its = socket.socketpair()
        maker = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            _end_with(maker)
            _serve(its, self._function, self._niceness)
        its.close()
        return await asyncio.open_unix_connection(sock=ours, limit=_BUFFER_BYTES)


def _end_with(maker: int) -> None:
    """Have the kernel kill this process when its maker ends: while it computes it does not read its connection."""
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != maker:  # it ended before
            os._exit(1)


def _serve(connection: socket.socket, function: Callable[[Any], Any], niceness: int) -> NoReturn:
    """Answer calls until the connection is closed. Nothing of the forking process's event loop is used."""
    try:
        # The forking process answers what is under way before it ends, and closes the connection then.
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        gc.freeze()
        os.nice(niceness)
        # A connection of a client would stay open as long as this process has it.
        kept = connection.fileno()
        os.closerange(_FIRST_AFTER_STDERR, kept)
        os.closerange(kept + 1, _MOST_FILES)
        with connection.makefile("rwb") as stream:
            while length := stream.read(_LENGTH.size):
                _answer(stream, function, *_LENGTH.unpack(length))
    except OSError:  # the forking process has ended
        pass
    except BaseException:  # noqa: BLE001 - what is forked must never return to its caller
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _answer(stream: Any, function: Callable[[Any], Any], length: int) -> None:
    written = stream.read(length)
    if len(written) < length:
        raise ConnectionAbortedError
    argument = pickle.loads(written)  # nosec B301 # written by this program
    try:
        result = function(argument)
    except Exception:  # noqa: BLE001 - raised again by the caller
        result = ProcessError(traceback.format_exc())
    answer = pickle.dumps(result)
    stream.write(_LENGTH.pack(len(answer)))
    stream.write(answer)
    stream.flush()
