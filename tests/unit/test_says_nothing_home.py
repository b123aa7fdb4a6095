"""No program of `make demo` asks for the name of any machine: no job, no endpoint, no tool reports to its maker."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from made_visits import AS_OF, from_frame, made_frame, write_csv
from names_asked import names_asked_by
from patience import patient

import visitcast
from benchmarks.random_model import write_model

ROOT = Path(__file__).parents[2]
PYTHON = shlex.quote(sys.executable)
VISITS = made_frame(users=40, mean_days=25, seed=5)
SERVED_SECONDS = patient(12)
"""ONNX Runtime asks for its maker's address 8 to 12 s after its import."""
JOBS = f"""
set -e
export OPT_ML_DIR=$PWD/preprocessing VISITCAST_AS_OF={AS_OF.isoformat()}
{PYTHON} -m visitcast preprocess
mkdir -p training/input/data training/input/config evaluation/processing/input/model
cp -r preprocessing/processing/output/dataset training/input/data/
cp -r preprocessing/processing/output/dataset evaluation/processing/input/
echo '{{"epochs": "1", "units": "4"}}' > training/input/config/hyperparameters.json
OPT_ML_DIR=$PWD/training {PYTHON} -m visitcast train
tar --create --gzip --file evaluation/processing/input/model/model.tar.gz --directory training/model .
OPT_ML_DIR=$PWD/evaluation {PYTHON} -m visitcast evaluate
"""
SERVE = (
    f"SAGEMAKER_BIND_TO_PORT=0 SAGEMAKER_BIND_TO_HOST=127.0.0.1 timeout {SERVED_SECONDS} {PYTHON} -m visitcast serve"
)
SAM = f"""{PYTHON} -c '
import os, subprocess, sys
from pathlib import Path
from demo.stack import sam_environment
sam = Path(sys.executable).with_name("sam")
subprocess.run([sam, "build", "--region", "eu-central-1"], env={{**os.environ, **sam_environment()}}, check=True)'"""
TEMPLATE = "Transform: AWS::Serverless-2016-10-31\nResources: {Queue: {Type: AWS::SQS::Queue}}\n"
REGION = f"""{PYTHON} -c '
from pathlib import Path
import boto3
from demo.region import region
with region(Path("region"), Path("logs"), keep=False):
    print(boto3.client("s3").list_buckets()["Buckets"], boto3.client("sts").get_caller_identity()["Account"])'"""


def program(script: str, folder: Path, **environment: str) -> dict[str, Any]:
    """A script with a home of its own, so that no earlier run has said anything there."""
    folder.mkdir(parents=True)
    given = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": f"{ROOT}:{Path(visitcast.__file__).parents[1]}",
    }
    return {"command": ["sh", "-c", script], "folder": str(folder), "environment": {**given, **environment}}


def test_no_program_of_the_demo_asks_for_a_name(tmp_path: Path) -> None:
    jobs = program(JOBS, tmp_path / "jobs")
    write_csv(tmp_path / "jobs/preprocessing/processing/input/visits/visits.csv", VISITS)
    serve = program(SERVE, tmp_path / "serve", OPT_ML_DIR=str(tmp_path / "serve"))
    write_model(tmp_path / "serve/model", from_frame(VISITS))
    sam = program(SAM, tmp_path / "sam")
    (tmp_path / "sam/template.yaml").write_text(TEMPLATE)
    region = program(REGION, tmp_path / "region")
    (tmp_path / "region/localaws.toml").write_text(
        (ROOT / "localaws.toml").read_text().replace('workdir = "', f'workdir = "{ROOT}/')
    )

    found = names_asked_by([jobs, serve, sam, region], patient(240))

    for ended, name, statuses in zip(
        found["ended"], ("jobs", "serve", "sam", "region"), ({0}, {124}, {0}, {0}), strict=True
    ):
        assert ended["status"] in statuses, (name, ended["output"][-3000:])
    assert '"event":"listening"' in found["ended"][1]["output"].replace(" ", "")
    assert found["names"] == []
    # What ONNX Runtime would report lies here first.
    assert [str(file) for file in tmp_path.rglob("*") if "Microsoft" in file.name or "onnxruntime" in file.name] == []


@pytest.mark.parametrize(
    "command",
    [
        "getent hosts tells.example.org",
        f"{PYTHON} -c 'import socket; socket.create_connection((\"tells.example.org\", 443))'",
    ],
)
def test_a_program_that_asks_is_noticed(command: str, tmp_path: Path) -> None:
    found = names_asked_by([program(command, tmp_path / "home")], patient(60))
    assert "tells.example.org" in found["names"]
    assert found["ended"][0]["status"] != 0
