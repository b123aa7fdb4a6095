"""Turns a buildspec into one shell script, in which exported variables last, as in version 0.2 of CodeBuild.

https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

PHASES = ("install", "pre_build", "build", "post_build")


class BuildspecError(ValueError):
    """The buildspec cannot be read. The phase DOWNLOAD_SOURCE fails with this message."""


@dataclass(frozen=True)
class Buildspec:
    """The parts of a buildspec that the region supports: variables, and the commands of each phase."""

    variables: Mapping[str, str] = field(default_factory=dict)
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read(given: str, source: Path) -> Buildspec:
    """Read a buildspec: a text, the path of a file in the source, or an empty text for ``buildspec.yml``.

    Raises
    ------
    BuildspecError
        It does not exist, is not YAML, or has no commands.
    """
    if "\n" not in given:
        path = source / (given or "buildspec.yml")
        if not path.is_file():
            raise BuildspecError(f"YAML_FILE_ERROR Message: stat {path.relative_to(source)}: no such file or directory")
        given = path.read_text(encoding="utf-8")
    try:
        document = yaml.safe_load(given)
    except yaml.YAMLError as error:
        raise BuildspecError(f"YAML_FILE_ERROR Message: {error}") from error
    document = document if isinstance(document, dict) else {}
    phases: Mapping[str, Any] = document.get("phases") or {}
    commands = {name: tuple(map(str, (phases.get(name) or {}).get("commands", []))) for name in PHASES}
    if not any(commands.values()):
        raise BuildspecError(f"YAML_FILE_ERROR Message: no phase of {', '.join(PHASES)} has commands")
    variables = {name: str(value) for name, value in (document.get("env") or {}).get("variables", {}).items()}
    return Buildspec(variables, commands)


def script(spec: Buildspec, outcome: Path) -> str:
    """Return the shell script of a build.

    A failed command ends its phase and the build. Only after a failed phase ``build`` does ``post_build`` still run.

    Parameters
    ----------
    outcome
        File to which each phase writes a line when it ends, ``<phase>`` or ``<phase> <exit status> <command>``.
    """
    lines = [
        f"_outcome={shlex.quote(str(outcome))}",
        "_failed=0",
        "_run() {",
        "  _phase=$1 _command=$3",
        "  printf '[Container] Running command %s\\n' \"$2\"",
        '  eval "$2"',
        "  _keep $?",
        "}",
        "_keep() {",
        "  _ran=$_command _command=",
        '  [ "$1" = 0 ] && return',
        "  _failed=1",
        '  printf \'%s %s %s\\n\' "$_phase" "$1" "$_ran" >> "$_outcome"',
        "  return 1",
        "}",
        # A command may exit the shell.
        'trap \'_status=$?; [ -z "$_command" ] || _keep "$_status"\' EXIT',
    ]
    for phase in PHASES:
        if not spec.commands.get(phase):
            continue
        attempts = [
            f"_run {phase} {shlex.quote(command)} {shlex.quote(one_line(command))}" for command in spec.commands[phase]
        ]
        lines.append(f"printf '[Container] Entering phase %s\\n' {phase.upper()}")
        lines.append(" && ".join([*attempts, f'echo {phase} >> "$_outcome"']))
        if phase in ("install", "pre_build"):
            lines.append('[ "$_failed" = 0 ] || exit 1')
    lines.append('exit "$_failed"')
    return "\n".join(lines) + "\n"


def one_line(command: str) -> str:
    """Return a command on one line."""
    return " ".join(command.split())
