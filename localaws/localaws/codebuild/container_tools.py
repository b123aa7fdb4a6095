"""The programs `docker` and `aws ecr get-login-password` for the commands of a build, without Docker.

    python container_tools.py docker build --tag URI --file F CONTEXT | docker push URI | docker login ... | aws ...

No image is built or pulled. `docker build` checks that the Dockerfile and the files that it copies exist. `docker push`
stores a manifest of these files in the region's registry, so that tags, immutability and digests behave as in ECR. This
script runs outside the local environment, so it imports the standard library only.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import shlex
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

IMAGES = "LOCALAWS_IMAGES"
"""Environment variable with the folder of this build's images."""
MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status."""
    match arguments:
        case ["docker", "build" | "buildx", *options]:
            build([option for option in options if option != "build"])
        case ["docker", "push", *options]:
            push(options[-1])
        case ["docker", "login", *_]:
            sys.stdin.read()
            print("Login Succeeded")
        case ["docker", "pull", *options]:
            print(f"Status: Downloaded newer image for {options[-1]}")
        case ["aws", "ecr-public", "get-login-password", *_]:
            print("any")
        case ["aws", "ecr", "get-login-password", *_]:
            token = call("GetAuthorizationToken", {})["authorizationData"][0]["authorizationToken"]
            print(base64.b64decode(token).decode().partition(":")[2])
        case _:
            raise SystemExit(f"{' '.join(arguments[:3])}: the local region does not support this command")
    return 0


def build(options: Sequence[str]) -> None:
    """Write the manifest of an image. Fail if Docker would not find a file."""
    parser = argparse.ArgumentParser(prog="docker build")
    parser.add_argument("--tag", "-t", required=True)
    parser.add_argument("--file", "-f", type=Path)
    parser.add_argument("--build-arg", action="append", default=[])
    parser.add_argument("context", type=Path)
    given, _ = parser.parse_known_args(options)
    dockerfile = given.file or given.context / "Dockerfile"
    if not dockerfile.is_file():
        raise SystemExit(f"ERROR: failed to read dockerfile: open {dockerfile}: no such file or directory")
    layers = [digest(given.build_arg, [dockerfile])]
    for source in copied(dockerfile):
        if not (given.context / source).exists():
            raise SystemExit(f'ERROR: failed to compute cache key: "/{source}": not found')
        layers.append(digest([source], sorted(files(given.context / source))))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 1, "digest": layers[0]},
        "layers": [
            {"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": 1, "digest": layer}
            for layer in layers
        ],
    }
    kept(given.tag).write_text(json.dumps(manifest), encoding="utf-8")
    print(f"naming to {given.tag}")


def copied(dockerfile: Path) -> Iterator[str]:
    """Yield the paths that COPY and ADD take from the build context."""
    text = dockerfile.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if words and words[0].upper() in ("COPY", "ADD") and not any(word.startswith("--from") for word in words):
            yield from (word for word in words[1:-1] if not word.startswith("--"))


def files(path: Path) -> Iterator[Path]:
    """Yield a file, or the files in a folder."""
    if path.is_file():
        yield path
    else:
        yield from (file for file in path.rglob("*") if file.is_file())


def digest(words: Sequence[str], paths: Sequence[Path]) -> str:
    """Return the digest of words and of the names and contents of files."""
    found = hashlib.sha256("\0".join(words).encode())
    for path in paths:
        found.update(f"\0{path.name}\0".encode() + path.read_bytes())
    return f"sha256:{found.hexdigest()}"


def push(uri: str) -> None:
    """Put a built image into the registry."""
    if not kept(uri).is_file():
        raise SystemExit(f"An image does not exist locally with the tag: {uri}")
    repository, _, tag = uri.partition("/")[2].partition(":")
    call(
        "PutImage",
        {
            "repositoryName": repository,
            "imageTag": tag or "latest",
            "imageManifest": kept(uri).read_text(encoding="utf-8"),
            "imageManifestMediaType": MANIFEST_TYPE,
        },
    )
    print(f"{tag}: pushed")


def kept(uri: str) -> Path:
    """Return the path of the manifest of an image."""
    folder = Path(os.environ[IMAGES])
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{quote(uri, safe='')}.json"


def call(operation: str, parameters: dict[str, Any]) -> Any:
    """Call ECR as the role of the build."""
    scope = f"{os.environ['AWS_ACCESS_KEY_ID']}/20200101/{os.environ['AWS_REGION']}/ecr/aws4_request"
    request = urllib.request.Request(
        os.environ["AWS_ENDPOINT_URL"],
        data=json.dumps(parameters).encode(),
        headers={
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"AmazonEC2ContainerRegistry_V20150921.{operation}",
            # The region reads the access key id and does not check the signature.
            "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # nosec B310 # the address of the region
            return json.load(answer)
    except urllib.error.HTTPError as error:
        document = json.loads(error.read() or b"{}")
        raise SystemExit(f"denied: {document.get('message') or document.get('Message') or error}") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
