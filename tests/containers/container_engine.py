"""Real images, built from the Dockerfiles and run as SageMaker runs them: /opt/ml mounted, no network.

`make test-containers` runs these tests; they need Docker or podman. CONTAINER names the engine, BUILD_OPTIONS go to
its build command, for a base image of one's own (``--build-arg BASE_IMAGE=...``) or a private package index.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import uuid
from dataclasses import dataclass, field
from pathlib import Path

CONTAINERS = Path(__file__).parents[2] / "containers"


@dataclass
class Engine:
    """The container engine and what was started with it."""

    command: str
    started: list[str] = field(default_factory=list)

    def __call__(self, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run one command of the engine to its end."""
        return subprocess.run([self.command, *arguments], capture_output=True, text=True, check=False, timeout=timeout)

    def start(self, image: str, *arguments: str, ml: Path, network: str = "none", **environment: str) -> str:
        """Start a container with a folder as its /opt/ml; returns its name."""
        name = f"visitcast-test-{uuid.uuid4().hex[:8]}"
        variables = [word for key, value in environment.items() for word in ("--env", f"{key}={value}")]
        run = ["run", "--detach", "--name", name, f"--network={network}", "--volume", f"{ml}:/opt/ml", *variables]
        done = self(*run, image, *arguments)
        assert done.returncode == 0, done.stderr
        self.started.append(name)
        return name

    def wait(self, name: str) -> tuple[int, str]:
        """Wait for a container's end; returns its exit code and everything it printed."""
        code = int(self("wait", name).stdout)
        printed = self("logs", name)
        return code, printed.stdout + printed.stderr

    def run(self, image: str, *arguments: str, ml: Path, **environment: str) -> tuple[int, str]:
        """Start a container and wait for its end."""
        return self.wait(self.start(image, *arguments, ml=ml, **environment))


def build(engine: Engine, name: str) -> str:
    """Build the image of a folder below ``containers/``; returns its tag."""
    tag = f"localhost/visitcast-{name}:test"
    options = shlex.split(os.environ.get("BUILD_OPTIONS", ""))
    dockerfile = CONTAINERS / name / "Dockerfile"
    done = engine("build", *options, "--file", str(dockerfile), "--tag", tag, str(CONTAINERS), timeout=1800)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return tag
