"""The command line: ``localaws up|down|serve|env|translate``."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from localaws.region_file import RegionFile, Running
from localaws.settings import DEFAULT_HOME, DEFAULT_PORT, Settings, SettingsError, load

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
    """Start a region in the background and wait until it answers."""
    settings = _settings(options)
    file = RegionFile(settings.home)
    if running := file.running():
        print(f"The region {running.region} is already running at {running.endpoint_url}")
        return 0
    if file.path.exists():
        print(f"Ignoring {file.path}: the region that it names has died.", file=sys.stderr)
        file.path.unlink()
    settings.home.mkdir(parents=True, exist_ok=True)
    log_path = settings.home / "region.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "localaws", "serve", *_as_arguments(options)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    end = time.monotonic() + _patient(START_SECONDS)
    while time.monotonic() < end and process.poll() is None:
        if running := file.running():
            print(f"The region {running.region} is at {running.endpoint_url} (log: {log_path})")
            return 0
        time.sleep(0.05)
    if process.poll() is None:
        process.kill()
    print(f"The region did not start. See {log_path}, which ends with:\n{_tail(log_path)}", file=sys.stderr)
    return 1


def down(options: argparse.Namespace) -> int:
    """Stop the region and everything that it runs. Succeed if no region is running."""
    file = RegionFile(options.home.resolve())
    running = file.running()
    if running is None:
        # The process may be a region that no longer answers, or another program that has got its id: leave it.
        if pid := file.recorded_pid():
            print(
                f"{file.path} names process {pid}, which does not answer as a region. It was not stopped.",
                file=sys.stderr,
            )
        if file.path.exists():  # False too where the home is not a folder
            file.path.unlink()
        print("No region is running.")
        return 0
    seconds = _patient(STOP_SECONDS)
    os.kill(running.pid, signal.SIGTERM)
    end = time.monotonic() + seconds
    while _exists(running) and time.monotonic() < end:
        time.sleep(0.05)
    if _exists(running):
        os.kill(running.pid, signal.SIGKILL)
        print(
            f"The region did not stop within {seconds:g} s and was killed. Processes that it started may still run. "
            f"To wait longer on a busy machine, set {PATIENCE} to a factor on this time.",
            file=sys.stderr,
        )
        file.path.unlink(missing_ok=True)
        return 1
    print("The region has stopped.")
    return 0


def serve(options: argparse.Namespace) -> int:
    """Serve a region in the foreground."""
    settings = _settings(options)
    if running := RegionFile(settings.home).running():
        print(f"The region in {settings.home} is already running at {running.endpoint_url}.", file=sys.stderr)
        return 1
    from localaws import server  # imports moto, which only this command needs

    try:
        listener = server.listen(settings.port)
    except OSError as error:
        print(f"Cannot listen on port {settings.port}: {error}. Choose another one with --port.", file=sys.stderr)
        return 1
    return server.serve(settings, listener)


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
    return ["--config", str(options.config), "--port", str(options.port), "--home", str(options.home)]


def _patient(seconds: float) -> float:
    try:
        return seconds * float(os.environ.get(PATIENCE, "1"))
    except ValueError:
        raise SettingsError(f"{PATIENCE} is {os.environ[PATIENCE]!r}. Write a number, such as 2.") from None


def _exists(running: Running) -> bool:
    try:
        os.kill(running.pid, 0)
        # A zombie has ended; its parent has not collected it yet.
        return ") Z " not in Path(f"/proc/{running.pid}/stat").read_text()
    except FileNotFoundError:  # it ended just now, or the system has no /proc
        return not Path("/proc/self").exists()
    except ProcessLookupError:
        return False


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-15:])
