"""Build the images locally and push them to a stack's repositories, so that the next deployment builds nothing.

    PYTHONPATH=. python tools/push_images.py --environment dev [--registry URI] [--container podman]

The tags are those of the deployment: digests of each image's sources. Needs Docker or podman and credentials of the
account, whose registry is the default. Prints the URIs as parameters of a deployment that takes its images from another
registry.
"""

from __future__ import annotations

import argparse
import base64
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from functions.build_images.sources import image_tag

CONTAINERS = Path(__file__).resolve().parents[1] / "containers"


def image_uris(registry: str, environment: str, base_image: str) -> dict[str, str]:
    """Return the URI of each image by its name."""
    names = sorted(dockerfile.parent.name for dockerfile in CONTAINERS.glob("*/Dockerfile"))
    return {
        name: f"{registry}/visitcast-{environment}/{name}:{image_tag(CONTAINERS, name, base_image)}" for name in names
    }


def own_registry() -> str:
    """Return the address of the registry in the account and region of the credentials."""
    account = boto3.client("sts").get_caller_identity()["Account"]
    region = boto3.session.Session().region_name
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"{account}.dkr.ecr.{region}.{suffix}"


def missing(uris: Mapping[str, str]) -> dict[str, str]:
    """Return the images that the account's registry lacks.

    Raises
    ------
    SystemExit
        A repository does not exist; the stack creates it.
    """
    ecr: Any = boto3.client("ecr")
    absent = {}
    for name, uri in uris.items():
        repository, _, tag = uri.partition("/")[2].partition(":")
        try:
            ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
        except ecr.exceptions.ImageNotFoundException:
            absent[name] = uri
        except ecr.exceptions.RepositoryNotFoundException:
            raise SystemExit(
                f"The registry has no repository {repository}. The stack creates it: deploy first, which builds the "
                "images in the account, or push to a registry of your own with --registry."
            ) from None
    return absent


def log_in(container: str, registry: str) -> None:
    """Log the container engine into the account's registry."""
    token = boto3.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    password = base64.b64decode(token).partition(b":")[2]
    command = [container, "login", "--username", "AWS", "--password-stdin", registry]
    subprocess.run(command, input=password, check=True)


def build_and_push(container: str, name: str, uri: str, options: list[str]) -> None:
    """Build one image and push it."""
    dockerfile = str(CONTAINERS / name / "Dockerfile")
    subprocess.run([container, "build", *options, "--file", dockerfile, "--tag", uri, str(CONTAINERS)], check=True)
    subprocess.run([container, "push", uri], check=True)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Build the images and push those that are missing.")
    parser.add_argument("--environment", default="dev", help="the stack's parameter Environment (%(default)s)")
    parser.add_argument("--registry", help="another registry, with the engine logged in; default: the account's")
    parser.add_argument("--container", default="docker", help="docker or podman (%(default)s)")
    parser.add_argument("--base-image", default="", help="the stack's parameter BaseImage")
    parser.add_argument("--build-options", default="", help="more options of the build command, as one argument")
    arguments = parser.parse_args()
    try:
        registry = arguments.registry or own_registry()
        uris = image_uris(registry, arguments.environment, arguments.base_image)
        wanted = uris if arguments.registry else missing(uris)
        if wanted and not arguments.registry:
            log_in(arguments.container, registry)
    except ClientError as error:
        raise SystemExit(f"The account does not answer: {error}. Check your credentials and AWS_REGION.") from error
    options = shlex.split(arguments.build_options)
    if arguments.base_image:
        options += ["--build-arg", f"BASE_IMAGE={arguments.base_image}"]
    for name, uri in wanted.items():
        build_and_push(arguments.container, name, uri, options)
    print(f"{len(wanted)} pushed, {len(uris) - len(wanted)} there already:")
    print("\n".join(f"{name.title()}ImageUri={uri}" for name, uri in uris.items()))


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"Not pushed: {shlex.join(error.cmd)} ended with {error.returncode}.")
