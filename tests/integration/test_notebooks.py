"""Every notebook runs from its first cell to its last, in order, in a region in which nothing is deployed before."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from deployed_stack import ROOT, EmptyRegion
from patience import patient
from sam_commands import delete

JUPYTER = ROOT / "build/notebooks/bin/jupyter"
STACK = "visitcast-local"
DATA = ROOT / "build/notebooks-data"
Run = Callable[[str], "Outputs"]


class Outputs:
    """What the cells of an executed notebook show."""

    def __init__(self, notebook: dict[str, Any]) -> None:
        self.all = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]

    @property
    def text(self) -> str:
        plain = ["".join(output.get("text", output.get("data", {}).get("text/plain", ""))) for output in self.all]
        return "\n".join(plain)

    @property
    def html(self) -> str:
        return "\n".join("".join(output.get("data", {}).get("text/html", "")) for output in self.all)

    @property
    def pictures(self) -> int:
        return sum("image/png" in output.get("data", {}) for output in self.all)


@pytest.fixture(scope="module")
def run(started_region: EmptyRegion, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Execute a notebook as `make notebook` would open it."""
    assert JUPYTER.is_file(), "`make sdk` installs Jupyter into build/notebooks."
    folder = tmp_path_factory.mktemp("notebooks")
    variables = {
        **os.environ,
        **started_region.variables,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),  # no configuration of the user's
        "ENVIRONMENT": "local",
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_POLL_DELAY": "0.2",
    }
    shutil.rmtree(DATA, ignore_errors=True)

    def execute(name: str) -> Outputs:
        began, output = time.monotonic(), folder / f"{name}.ipynb"
        done = subprocess.run(
            [str(JUPYTER), "execute", f"{name}.ipynb", f"--output={output}"],
            cwd=ROOT / "notebooks",
            env=variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=patient(550),
        )
        assert done.returncode == 0, done.stderr[-6000:]
        print(f"{name}: {time.monotonic() - began:.0f} s")
        return Outputs(json.loads(output.read_text(encoding="utf-8")))

    yield execute
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in started_region.variables.items():
            patch.setenv(variable, value)
        delete(STACK)


def test_the_article_is_retold(run: Run) -> None:
    shown = run("1_the_article_step_by_step")
    assert "Successfully created/updated stack" in shown.text
    assert shown.html.count("data:image/svg+xml") == 4  # two graphs, two executions
    assert len(re.findall(r"<pre>[\w-]+: succeeded, \d+ s", shown.html)) == 2
    assert "✓ Pipeline succeeded" in shown.html
    assert "✓ Forecasts published" in shown.html
    assert "cron(" in shown.text
    assert shown.pictures == 2


def test_own_events_go_from_a_file_to_a_send_plan(run: Run) -> None:
    shown = run("2_your_own_events")
    assert "screen" in shown.text
    assert len(re.findall(r"<pre>[\w-]+: succeeded, \d+ s", shown.html)) == 2
    assert "best_hour" in shown.text
    assert shown.pictures == 4


def test_a_network_is_trained_searched_registered_and_served(run: Run, started_region: EmptyRegion) -> None:
    shown = run("3_a_network_of_your_own")
    assert "(1, 'Approved')" in shown.text
    network = r"(?:32 units|search: .* rate [\d.]+|the workflow's network) +([\d.]+)$"
    losses = re.findall(network, shown.text, re.MULTILINE)
    assert len(losses) == 4
    assert all(1.5 < float(loss) < 3.178 for loss in losses), losses
    assert shown.pictures == 2
    given = started_region.variables
    client = boto3.client(
        "sagemaker",
        endpoint_url=given["AWS_ENDPOINT_URL"],
        region_name=given["AWS_REGION"],
        aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
    )
    # A deletion takes a moment.
    waiter = client.get_waiter("endpoint_deleted")
    for endpoint in client.list_endpoints()["Endpoints"]:
        if endpoint["EndpointName"] != STACK:
            waiter.wait(
                EndpointName=endpoint["EndpointName"], WaiterConfig={"Delay": 1, "MaxAttempts": int(patient(30))}
            )


def test_lift_is_read(run: Run) -> None:
    shown = run("4_reading_lift")
    assert "arms do not have their shares" in shown.text
    assert re.search(r"^caused +29\.3 +13\.3 +45\.4 +25\.4", shown.text, re.MULTILINE)
    assert "No sends yet whose date" in shown.text
    assert shown.pictures == 1
