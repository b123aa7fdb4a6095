"""Real images, built from the Dockerfiles and run as SageMaker runs them: /opt/ml mounted, no network.

`make test-containers` runs these tests; they need Docker or podman. CONTAINER names the engine, BUILD_OPTIONS go to
its build command, for a base image of one's own (``--build-arg BASE_IMAGE=...``) or a private package index.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from patience import patient

CONTAINERS = Path(__file__).parents[2] / "containers"
NOBODY = 65534
USER = os.getuid() or NOBODY
RESTRICTIONS = (
    "--read-only",
    "--tmpfs=/tmp",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    f"--user={USER}:{USER}",
)
"""Less than SageMaker grants: it mounts /opt/ml for root and so runs an image as root, which ours do not need."""


@dataclass
class Engine:
    """The container engine, what was started with it and how large what it built is, in bytes by image."""

    command: str
    started: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)

    def __call__(self, *arguments: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        """Run one command of the engine to its end."""
        return subprocess.run(
            [self.command, *arguments], capture_output=True, text=True, check=False, timeout=patient(seconds)
        )

    def tell(self, *arguments: str) -> str:
        """Run one command of the engine, which must succeed; returns what it printed."""
        done = self(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(
        self,
        image: str,
        *arguments: str,
        ml: Path,
        network: str = "none",
        is_ml_read_only: bool = False,
        **environment: str,
    ) -> str:
        """Start a container with a folder as its /opt/ml; returns its name."""
        name = new_name()
        variables = [word for key, value in environment.items() for word in ("--env", f"{key}={value}")]
        _open_to_all(ml)
        volume = f"{ml}:/opt/ml{':ro' if is_ml_read_only else ''}"
        run = ["run", "--detach", "--name", name, f"--network={network}", "--volume", volume, *RESTRICTIONS, *variables]
        self.tell(*run, image, *arguments)
        self.started.append(name)
        return name

    def stop(self, name: str, seconds: int = 60) -> None:
        """Send SIGTERM, and SIGKILL when the container has not ended after some seconds."""
        self.tell("stop", "-t", str(seconds), name)

    def wait(self, name: str) -> tuple[int, str]:
        """Wait for a container's end; returns its exit code and everything it printed."""
        code = int(self.tell("wait", name))
        printed = self("logs", name)
        return code, printed.stdout + printed.stderr

    def run(self, image: str, *arguments: str, ml: Path, **environment: str) -> tuple[int, str]:
        """Start a container and wait for its end."""
        return self.wait(self.start(image, *arguments, ml=ml, **environment))

    @contextmanager
    def private_network(self) -> Iterator[str]:
        """Make a network between containers and this machine that leads nowhere else."""
        name = new_name()
        self.tell("network", "create", "--internal", name)
        try:
            yield name
        finally:
            self("network", "rm", name)

    def address(self, name: str) -> str:
        """Return the IP address of a container in its one network."""
        return self.tell("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", name)


def new_name() -> str:
    """Return a name that no other container or network has."""
    return f"visitcast-test-{uuid.uuid4().hex[:8]}"


def build(engine: Engine, name: str) -> str:
    """Build the image of a folder below ``containers/``; returns its tag."""
    tag = f"localhost/visitcast-{name}:test"
    options = shlex.split(os.environ.get("BUILD_OPTIONS", ""))
    dockerfile = CONTAINERS / name / "Dockerfile"
    done = engine("build", *options, "--file", str(dockerfile), "--tag", tag, str(CONTAINERS), seconds=1800)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    engine.sizes[name] = int(engine.tell("image", "inspect", "--format", "{{.Size}}", tag))
    return tag


def _open_to_all(folder: Path) -> None:
    # The user in the container is not the one who made the folder.
    for path in (folder, *folder.rglob("*")):
        if path.stat().st_uid == os.getuid():
            path.chmod(0o777 if path.is_dir() else 0o666)
