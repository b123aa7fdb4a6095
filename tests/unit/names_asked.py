"""Run programs where a resolver writes down every name that they ask for, and nothing else is on the network.

    python names_asked.py run PROGRAMS.json

`names_asked_by` starts this file in namespaces of its own, in which the resolver may listen on port 53.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_NAMESPACES = ("--net", "--mount", "--fork")
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_HEADER_BYTES = 12
_NO_SUCH_NAME = 0x8183  # an answer, from a server that recurses


def names_asked_by(programs: Sequence[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """Run programs side by side.

    Parameters
    ----------
    programs : sequence of dict
        ``command`` (list of words), ``folder`` and ``environment`` of each.
    seconds : float
        Time limit for all.

    Returns
    -------
    dict
        ``names`` asked for, and ``ended``: exit status and output of each program.

    Raises
    ------
    RuntimeError
        This machine allows no namespaces.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(list(programs), file)
        file.flush()
        done = subprocess.run(
            [*_unshare(seconds), sys.executable, __file__, "run", file.name],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"The programs could not be started: {done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _unshare(seconds: float) -> list[str]:
    """Return the command that makes the namespaces: as a user where that is allowed, else as root."""
    refusals = []
    root = ["sudo", "--non-interactive", "--preserve-env"] if shutil.which("sudo") else []
    for command in (["unshare", "--map-root-user", *_NAMESPACES], [*root, "unshare", *_NAMESPACES]):
        try:
            subprocess.run([*command, "true"], check=True, capture_output=True, text=True, timeout=seconds)
        except (OSError, subprocess.SubprocessError) as error:
            refusals.append(f"{' '.join(command)}: {getattr(error, 'stderr', None) or error}")
        else:
            return command
    raise RuntimeError(
        "Names that are asked for can only be seen in a network namespace, and this machine allows none: "
        f"{'; '.join(refusals)}. Allow users to make namespaces (on Ubuntu sysctl "
        "kernel.apparmor_restrict_unprivileged_userns=0), or sudo without a password."
    )


def _run(programs: list[dict[str, Any]]) -> dict[str, Any]:
    _raise_loopback()
    names: list[str] = []
    resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    resolver.bind(("127.0.0.1", 53))
    threading.Thread(target=_answer, args=(resolver, names), daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder) / "resolv.conf"
        configuration.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        place = os.path.realpath("/etc/resolv.conf")
        subprocess.run(["mount", "--bind", str(configuration), place], check=True)
        started = [
            subprocess.Popen(
                program["command"],
                cwd=program["folder"],
                env=program["environment"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for program in programs
        ]
        ended = [(process.communicate()[0], process.returncode) for process in started]
    return {"names": names, "ended": [{"status": status, "output": output} for output, status in ended]}


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("16sh22x", b"lo", 0)
        flags = struct.unpack("16sh22x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, asked))[1]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | _IFF_UP))


def _answer(resolver: socket.socket, names: list[str]) -> None:
    """Write down the name of each question, and answer that there is none (RFC 1035, section 4.1)."""
    while True:
        question, sender = resolver.recvfrom(4096)
        labels, place = [], _HEADER_BYTES
        while length := question[place]:
            labels.append(question[place + 1 : place + 1 + length].decode("ascii", "replace"))
            place += 1 + length
        names.append(".".join(labels))
        asked = question[_HEADER_BYTES : place + 5]
        resolver.sendto(question[:2] + struct.pack("!HHHHH", _NO_SUCH_NAME, 1, 0, 0, 0) + asked, sender)


if __name__ == "__main__":
    print(json.dumps(_run(json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")))))
