"""The commands that CodeBuild runs for an image, with programs in place of docker and aws."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from samcli.yamlhelper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
IMAGE_URI = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/visitcast-dev/training:1"
BASE = next(
    line.removeprefix("ARG BASE_IMAGE=")
    for line in (ROOT / "containers/training/Dockerfile").read_text(encoding="utf-8").splitlines()
    if line.startswith("ARG BASE_IMAGE=")
)


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with programs that write down their arguments. Docker refuses a pull per line of ``refusals``."""
    asked, refusals = tmp_path / "asked", tmp_path / "refusals"
    refusals.touch()
    program = f"""#!/bin/sh
case "$(basename "$0")" in aws) ;; *) echo "$(basename "$0") $*" >> {asked} ;; esac
case "$(basename "$0") $1" in
  "docker login") cat > /dev/null ;;
  "docker pull") [ -s {refusals} ] && {{ sed -i 1d {refusals}; echo toomanyrequests >&2; exit 1; }} ;;
  "aws ecr-public") [ -z "$NO_PUBLIC_REGISTRY" ] || exit 255 ;;
esac
exit 0
"""
    for name in ("docker", "aws", "sleep"):
        (tmp_path / name).write_text(program)
        (tmp_path / name).chmod(0o755)
    return tmp_path


def run_build(programs: Path, **variables: str) -> list[str]:
    """Run the buildspec of the template for one image; return what its programs were asked."""
    project: Any = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))["Resources"]["ImageBuilds"]
    phases = yaml.safe_load(project["Properties"]["Source"]["BuildSpec"])["phases"]
    script = "\n".join(["set -e", *phases["pre_build"]["commands"], *phases["build"]["commands"]])
    environment = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "IMAGE": "training",
        "IMAGE_URI": IMAGE_URI,
        **variables,
    }
    subprocess.run(["sh", "-c", script], cwd=ROOT / "containers", env=environment, check=True)
    return (programs / "asked").read_text().splitlines()


def test_the_base_image_is_pulled_by_name_before_the_build(programs: Path) -> None:
    login, public_login, pull, build, push = run_build(programs)
    assert login.endswith(IMAGE_URI.partition("/")[0])
    assert public_login.endswith("public.ecr.aws")
    assert pull == f"docker pull {BASE}"
    assert build == f"docker build --file training/Dockerfile --tag {IMAGE_URI} ."
    assert push == f"docker push {IMAGE_URI}"


def test_a_base_image_of_ones_own_is_pulled_instead(programs: Path) -> None:
    asked = run_build(programs, BASE_IMAGE="mirror/python:3.13-slim")
    assert "docker pull mirror/python:3.13-slim" in asked
    (build,) = [line for line in asked if line.startswith("docker build")]
    assert "--build-arg BASE_IMAGE=mirror/python:3.13-slim " in build


@pytest.mark.parametrize(("refusals", "pulls"), [(0, 1), (2, 3), (9, 3)])
def test_a_refused_pull_is_tried_again_after_a_pause(programs: Path, refusals: int, pulls: int) -> None:
    (programs / "refusals").write_text("no\n" * refusals)
    asked = run_build(programs)
    assert asked.count(f"docker pull {BASE}") == pulls
    assert len([line for line in asked if line.startswith("sleep")]) == min(refusals, pulls)
    # The build pulls once more what is still missing, and fails with docker's own words.
    assert asked[-2:] == [f"docker build --file training/Dockerfile --tag {IMAGE_URI} .", f"docker push {IMAGE_URI}"]


def test_without_the_public_registry_the_build_goes_on(programs: Path) -> None:
    assert f"docker push {IMAGE_URI}" in run_build(programs, NO_PUBLIC_REGISTRY="yes")
