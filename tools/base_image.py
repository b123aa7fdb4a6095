"""Name the newest base image by its digest in every Dockerfile, so that builds can be repeated.

    PYTHONPATH=. python tools/base_image.py [--container podman]

The tag of an image is a digest of its Dockerfile too, so the next deployment builds all images anew. Needs Docker or
podman.
"""

from __future__ import annotations

import argparse
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

CONTAINERS = Path(__file__).resolve().parents[1] / "containers"
BASE = re.compile(r"^ARG BASE_IMAGE=(?P<name>[^@\s]+)(?:@\S+)?$", re.MULTILINE)


def main(arguments: Sequence[str] | None = None, containers: Path = CONTAINERS) -> int:
    """Pull the base image of each Dockerfile by its tag, and write down what came."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--container", default="docker", help="program that pulls (%(default)s)")
    container = parser.parse_args(arguments).container
    files = {file: file.read_text(encoding="utf-8") for file in sorted(containers.glob("*/Dockerfile"))}
    names = {found["name"] for text in files.values() for found in BASE.finditer(text)}
    pinned = {name: f"{name}@{digest_of(name, container)}" for name in sorted(names)}
    for file, text in files.items():
        file.write_text(BASE.sub(lambda found: f"ARG BASE_IMAGE={pinned[found['name']]}", text), encoding="utf-8")
    print("\n".join(pinned.values()))
    return 0


def digest_of(name: str, container: str) -> str:
    """Pull an image and return the digest by which its registry knows it."""
    subprocess.run([container, "pull", "--quiet", name], check=True, stdout=subprocess.DEVNULL)
    inspect = [container, "image", "inspect", "--format", "{{index .RepoDigests 0}}", name]
    digest = subprocess.run(inspect, check=True, capture_output=True, text=True).stdout.strip().rpartition("@")[2]
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise SystemExit(f"{container} knows no digest of {name}: {digest!r}. Pull it from a registry.")
    return digest


if __name__ == "__main__":
    raise SystemExit(main())
