"""A serving container and requests to it from outside."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from container_engine import Engine
from patience import patient
from served_model import JSON, Reply

PORT = 8080  # SageMaker's own
WITHIN_SECONDS = patient(60)


@dataclass(frozen=True)
class Endpoint:
    """A container that serves."""

    engine: Engine
    name: str
    url: str

    def ask(self, path: str, body: bytes | None = None, content_type: str = JSON) -> Reply:
        """GET a path, or POST a body to it."""
        request = urllib.request.Request(self.url + path, body, {"Content-Type": content_type})
        try:
            with urllib.request.urlopen(request, timeout=WITHIN_SECONDS) as answer:
                return Reply(answer.status, answer.headers.get_content_type(), answer.read())
        except urllib.error.HTTPError as refusal:
            return Reply(refusal.code, refusal.headers.get_content_type(), refusal.read())

    def wait_until_ready(self) -> None:
        """Ask /ping until it answers, as SageMaker does."""
        end = time.monotonic() + WITHIN_SECONDS
        while True:
            try:
                if self.ask("/ping").status == 200:
                    return
            except OSError:
                pass  # nothing listens yet
            assert time.monotonic() < end, self.engine("logs", self.name)
            time.sleep(0.1)


@contextmanager
def endpoint(engine: Engine, image: str, root: Path, network: str, **environment: str) -> Iterator[Endpoint]:
    """Serve the model below a folder during the block."""
    name = engine.start(image, "serve", ml=root, network=network, is_ml_read_only=True, **environment)
    try:
        served = Endpoint(engine, name, f"http://{engine.address(name)}:{PORT}")
        served.wait_until_ready()
        yield served
    finally:
        engine("rm", "--force", name)


def batch_variables(mebibytes: int = 6) -> dict[str, str]:
    """Return the variables that SageMaker gives a container of a batch transform job."""
    return {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_BATCH_STRATEGY": "MultiRecord",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(mebibytes),
    }
