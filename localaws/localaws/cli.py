"""The command line: ``localaws up|down|serve|env|translate``."""

from __future__ import annotations

import argparse
import fcntl
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

import psutil

from localaws import processes
from localaws.interruptions import heeded
from localaws.region_file import RegionFile
from localaws.settings import DEFAULT_HOME, DEFAULT_PORT, HOME_VARIABLE, Settings, SettingsError, load

START_SECONDS = 60
STOP_SECONDS = 60
"""Before a region ends, it stops its jobs, endpoints and functions and removes their folders."""

LARGEST_PORT = 65535
"""Of TCP (RFC 9293)."""

PATIENCE = "LOCALAWS_PATIENCE"
"""Environment variable with a factor on both times, for a slow or busy machine."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = _parser().parse_args(arguments)
    command = {"up": up, "down": down, "serve": serve, "env": env, "translate": translate}[options.command]
    try:
        return command(options)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        if error.filename is None:  # not a file or folder
            raise
        print(
            f"{error.filename} cannot be used: {error.strerror}. "
            "The home must be a folder that you may write into. Choose another one with --home.",
            file=sys.stderr,
        )
        return 1


def up(options: argparse.Namespace) -> int:
    """Start a region in the background and wait until it answers. If interrupted, leave none behind."""
    settings = _settings(options)
    with _alone(settings.home):
        return _start(settings, options)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Wait until no other command starts a region in this home; the lock ends with its process."""
    home.mkdir(parents=True, exist_ok=True)
    folder = os.open(home, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _start(settings: Settings, options: argparse.Namespace) -> int:
    file = RegionFile(settings.home)
    if running := file.running():
        print(f"The region {running.region} is already running at {running.endpoint_url}")
        return 0
    if file.path.exists():
        print(f"Ignoring {file.path}: the region that it names has died.", file=sys.stderr)
        file.path.unlink()
    processes.end(processes.of_home(settings.home), _patient(STOP_SECONDS))
    log_path = settings.home / "region.log"
    for number in heeded():
        signal.signal(number, _interrupt)
    process = None
    try:
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "localaws", "serve", *_as_arguments(options)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, HOME_VARIABLE: str(settings.home)},
            )
        end = time.monotonic() + _patient(START_SECONDS)
        while time.monotonic() < end and process.poll() is None:
            if running := file.running():
                print(f"The region {running.region} is at {running.endpoint_url} (log: {log_path})")
                return 0
            time.sleep(0.05)
    except _Interruption as interruption:
        for number in heeded():
            signal.signal(number, signal.SIG_IGN)
        processes.end(processes.of_home(settings.home), _patient(STOP_SECONDS))
        with suppress(OSError):  # the terminal has been closed
            print("Interrupted: no region was left running.", file=sys.stderr, flush=True)
        return 128 + interruption.number  # as shells have it
    processes.end(processes.of_home(settings.home), 0)
    print(f"The region did not start. See {log_path}, which ends with:\n{_tail(log_path)}", file=sys.stderr)
    return 1


class _Interruption(KeyboardInterrupt):
    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _interrupt(number: int, _frame: FrameType | None) -> NoReturn:
    raise _Interruption(number)


def down(options: argparse.Namespace) -> int:
    """Stop the region and everything that it runs, also if it has died or does not answer."""
    home = options.home.resolve()
    found = processes.of_home(home)
    if not found:
        print("No region is running.")
        if (home / "region.json").exists():  # False too where the home is not a folder
            (home / "region.json").unlink()
        return 0
    seconds = _patient(STOP_SECONDS)
    # The region ends its children itself; those of a region that has died are ended here.
    regions = [process for process in found if _is_region(process)]
    ended = processes.end(regions, seconds)
    processes.end(processes.of_home(home), processes.CLOSING_GRACE_SECONDS)
    (home / "region.json").unlink(missing_ok=True)
    if not ended:
        print(
            f"The region did not stop within {seconds:g} s and was killed, with all that it had started. "
            f"To wait longer on a busy machine, set {PATIENCE} to a factor on this time.",
            file=sys.stderr,
        )
        return 1
    print("The region has stopped." if regions else "The region had died. What it had started has been stopped.")
    return 0


def _is_region(process: psutil.Process) -> bool:
    try:
        return process.cmdline()[1:4] == ["-m", "localaws", "serve"]
    except psutil.Error:
        return False


def serve(options: argparse.Namespace) -> int:
    """Serve a region in the foreground."""
    settings = _settings(options)
    if running := RegionFile(settings.home).running():
        print(f"The region in {settings.home} is already running at {running.endpoint_url}.", file=sys.stderr)
        return 1
    if os.environ.get(HOME_VARIABLE) != str(settings.home):  # others see only the environment that a program began with
        os.execve(  # nosec B606 # this program again
            sys.executable,
            [sys.executable, "-m", "localaws", "serve", *_as_arguments(options)],
            {**os.environ, HOME_VARIABLE: str(settings.home)},
        )
    from localaws import server  # imports moto, which only this command needs

    try:
        owner = psutil.Process(options.owner) if options.owner else None
    except psutil.NoSuchProcess:
        print(f"The owner of the region, process {options.owner}, has ended.", file=sys.stderr)
        return 1
    try:
        listener = server.listen(settings.port)
    except OSError as error:
        print(
            f"Cannot listen on port {settings.port}: {error}. Choose another one with --port, or PORT= of make.",
            file=sys.stderr,
        )
        return 1
    return server.serve(settings, listener, owner)


def env(options: argparse.Namespace) -> int:
    """Print the shell command that points AWS tools at the running region."""
    running = RegionFile(options.home.resolve()).running()
    if running is None:
        print("No region is running. Start one with: localaws up", file=sys.stderr)
        return 1
    port = int(running.endpoint_url.rpartition(":")[2])
    settings = Settings(region=running.region, account_id=running.account_id, port=port, home=options.home)
    words = [f"{name}={shlex.quote(value)}" for name, value in settings.client_environment().items()]
    print(f"export {' '.join(words)}")
    return 0


def translate(options: argparse.Namespace) -> int:
    """Print a query as the region runs it on DuckDB. For an UNLOAD, print the query inside it."""
    from localaws.athena import sql, unload
    from localaws.athena.errors import MalformedQueryError, QueryError

    del options
    text = sys.stdin.read()
    try:
        order = unload.parse(text)
        print(sql.script(order.query if order else text), end="")
    except (MalformedQueryError, QueryError) as error:
        print(f"Athena would refuse this query: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="localaws", description="Run an AWS region on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("up", "start a region in the background"),
        ("down", "stop the region"),
        ("serve", "run a region in the foreground"),
        ("env", "print the shell command that points AWS tools at the region"),
    ):
        command = commands.add_parser(name, help=text, description=text.capitalize() + ".")
        command.add_argument(
            "--home", type=Path, default=DEFAULT_HOME, help="folder of everything that the region writes (%(default)s)"
        )
        if name in ("up", "serve"):
            command.add_argument(
                "--config", type=Path, default=Path("localaws.toml"), help="file with the settings (%(default)s)"
            )
            command.add_argument(
                "--port", type=_port, default=DEFAULT_PORT, help="port on 127.0.0.1; 0 for any free one (%(default)s)"
            )
            command.add_argument(
                "--owner", type=int, metavar="PID", help="a process with which the region is to end, however it ends"
            )
    commands.add_parser(
        "translate",
        help="translate a query from Athena's SQL to DuckDB's",
        description="Read a query in Athena's SQL from standard input; print the script that DuckDB runs for it.",
    )
    return parser


def _port(text: str) -> int:
    port = int(text) if text.isascii() and text.isdecimal() else -1
    if not 0 <= port <= LARGEST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, a whole number from 0 to {LARGEST_PORT}")
    return port


def _settings(options: argparse.Namespace) -> Settings:
    return load(options.config, port=options.port, home=options.home)


def _as_arguments(options: argparse.Namespace) -> list[str]:
    owner = ["--owner", str(options.owner)] if options.owner else []
    return ["--config", str(options.config), "--port", str(options.port), "--home", str(options.home), *owner]


def _patient(seconds: float) -> float:
    try:
        return seconds * float(os.environ.get(PATIENCE, "1"))
    except ValueError:
        raise SettingsError(f"{PATIENCE} is {os.environ[PATIENCE]!r}. Write a number, such as 2.") from None


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-15:])
