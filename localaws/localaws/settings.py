"""The settings of a region, read from ``localaws.toml``."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from localaws.identity import access_key_id

DEFAULT_PORT = 4599
DEFAULT_HOME = Path("build/localaws")
HOME_VARIABLE = "LOCALAWS_HOME"
"""Environment variable of the region and of every process that it starts, so that all are found, whoever has died."""
WITHOUT_PROXY = ("127.0.0.1", "localhost")
SECRET_ACCESS_KEY = "localaws"  # nosec B105 # the region checks no signature
PASSED_THROUGH = ("PATH", "HOME", "LANG", "VIRTUAL_ENV", "DO_NOT_TRACK", "ORT_DISABLE_TELEMETRY")
"""Environment variables that jobs and handlers inherit. They see nothing else of this machine's environment."""

QUOTA = r"ml\.[a-z0-9-]+\.[a-z0-9-]+ for ((spot )?training job|processing job|transform job|endpoint) usage"
"""Names of the service quotas that can be set."""


class SettingsError(ValueError):
    """``localaws.toml`` cannot be used. The message names the entry, the cause and the remedy."""


@dataclass(frozen=True)
class Image:
    """The command that runs in place of a container image.

    Attributes
    ----------
    name
        Last part of the repository's name, before the tag.
    workdir
        Absolute path of the directory on PYTHONPATH.
    command
        The image's ENTRYPOINT. Arguments of a job are appended.
    """

    name: str
    workdir: Path
    command: tuple[str, ...]


@dataclass(frozen=True)
class Settings:
    """The settings of one region.

    Attributes
    ----------
    port
        Port on 127.0.0.1; 0 until the server listens on a free one.
    home
        Absolute path of the directory for everything that the region writes: log, job folders, unpacked functions.
    wait_scale, retry_scale
        Factors on the delays of Wait states and of Retry, from 0 to 1. Timeouts are not scaled.
    root_variable
        Environment variable that tells a container where its ``/opt/ml`` is.
    images
        Images by name.
    quotas
        Service quotas of SageMaker by their names, such as ``ml.m5.xlarge for training job usage``.
    """

    region: str
    account_id: str
    port: int
    home: Path
    wait_scale: float = 1.0
    retry_scale: float = 1.0
    root_variable: str = "OPT_ML_DIR"
    images: Mapping[str, Image] = field(default_factory=dict)
    quotas: Mapping[str, int] = field(default_factory=dict)

    @property
    def endpoint_url(self) -> str:
        """Return the URL of all services."""
        return f"http://127.0.0.1:{self.port}"

    def client_environment(self) -> dict[str, str]:
        """Return the variables that point AWS clients here, with the credentials of the current identity."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": access_key_id(),
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            **without_proxy(),
        }

    def child_environment(self) -> dict[str, str]:
        """Return the environment that every job, endpoint and function has."""
        return {
            **{name: os.environ[name] for name in PASSED_THROUGH if name in os.environ},
            **self.client_environment(),
            HOME_VARIABLE: str(self.home),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "3",
            "PYTHONUNBUFFERED": "1",
        }


def without_proxy() -> dict[str, str]:
    """Return the variables that keep a proxy, if one is set, from requests to this machine.

    curl, Python and boto3 read either name. https://everything.curl.dev/usingcurl/proxies/env.html
    """
    names = [name for name in (os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "").split(",") if name]
    value = ",".join(dict.fromkeys((*names, *WITHOUT_PROXY)))
    return {"NO_PROXY": value, "no_proxy": value}


def load(path: Path, *, port: int = DEFAULT_PORT, home: Path = DEFAULT_HOME) -> Settings:
    """Read ``localaws.toml``.

    Parameters
    ----------
    path
        The file. A relative ``workdir`` is relative to its directory.
    port, home
        These are not in the file, so that several regions can share it.

    Raises
    ------
    SettingsError
        The file is missing, unreadable or not TOML, or an entry is missing, unknown or of the wrong type.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"The settings file {path} does not exist. Name another one with --config.") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}. Name another file with --config.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}. Correct this line.") from error
    reader = _Reader(path)
    reader.only(document, "the file", {"region", "jobs", "images", "quotas"})
    region = reader.table(document, "region")
    reader.only(region, "[region]", {"name", "account_id", "wait_scale", "retry_scale"})
    jobs = reader.table(document, "jobs")
    reader.only(jobs, "[jobs]", {"root_variable"})
    images = reader.table(document, "images")
    quotas = reader.table(document, "quotas")
    return Settings(
        region=reader.text(region, "region.name", r"[a-z]{2}(-[a-z]+)+-\d", "a region such as eu-central-1"),
        account_id=reader.text(region, "region.account_id", r"\d{12}", "twelve digits in quotes"),
        port=port,
        home=home.resolve(),
        wait_scale=reader.factor(region, "region.wait_scale"),
        retry_scale=reader.factor(region, "region.retry_scale"),
        root_variable=reader.text(
            {"root_variable": "OPT_ML_DIR", **jobs}, "jobs.root_variable", r"[A-Za-z_]\w*", "a variable's name"
        ),
        images=MappingProxyType({name: reader.image(name, entry) for name, entry in images.items()}),
        quotas=MappingProxyType({name: reader.quota(name, value) for name, value in quotas.items()}),
    )


class _Reader:
    """Reads and checks the entries of one file. Every error names the file and the entry."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def error(self, entry: str, cause: str, remedy: str) -> SettingsError:
        return SettingsError(f"{self.path}: {entry} {cause}. {remedy}.")

    def only(self, table: Mapping[str, Any], where: str, known: set[str]) -> None:
        if unknown := sorted(set(table) - known):
            raise self.error(where, f"has an unknown entry {unknown[0]!r}", f"Use one of {', '.join(sorted(known))}")

    def table(self, parent: Mapping[str, Any], name: str) -> dict[str, Any]:
        value = parent.get(name, {})
        if not isinstance(value, dict):
            raise self.error(name, f"is {value!r}", f"Write a table, [{name}]")
        return value

    def text(self, table: Mapping[str, Any], entry: str, pattern: str, wanted: str) -> str:
        value = table.get(entry.rpartition(".")[2])
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise self.error(entry, "is missing" if value is None else f"is {value!r}", f"Write {wanted}")
        return value

    def factor(self, table: Mapping[str, Any], entry: str) -> float:
        value = table.get(entry.rpartition(".")[2], 1.0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise self.error(entry, f"is {value!r}", "Write a number from 0 (no delay) to 1 (the real delay)")
        return float(value)

    def quota(self, name: str, value: object) -> int:
        if not re.fullmatch(QUOTA, name):
            raise self.error("[quotas]", f"has {name!r}", 'Write a name such as "ml.m5.xlarge for training job usage"')
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self.error(f"quotas.{name!r}", f"is {value!r}", "Write a number of instances, 0 or more")
        return value

    def image(self, name: str, entry: object) -> Image:
        where = f"images.{name}"
        if not isinstance(entry, dict):
            raise self.error(where, f"is {entry!r}", f'Write [{where}] with workdir = "..." and command = ["..."]')
        self.only(entry, where, {"workdir", "command"})
        command = entry.get("command")
        if not isinstance(command, list) or not command or not all(isinstance(word, str) for word in command):
            raise self.error(f"{where}.command", f"is {command!r}", 'Write a list of words, ["python", "-m", "..."]')
        workdir = (self.path.parent / str(entry.get("workdir", "."))).resolve()
        if not workdir.is_dir():
            raise self.error(f"{where}.workdir", f"is {workdir}, which is not a directory", "Correct the path")
        program = sys.executable if command[0] in ("python", "python3") else command[0]
        return Image(name=name, workdir=workdir, command=(program, *command[1:]))
