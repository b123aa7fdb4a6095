"""The preflight against an account that lacks quotas and has a name already."""

from __future__ import annotations

import subprocess

import boto3
import pytest
from deployed_stack import ROOT
from deployment import read_deployment
from patience import patient
from preflight import FAILURE, OK, WARNING, Account, Check, check_names, check_quotas, checks
from sam_commands import local_region, region_environment

QUOTAS = """
[quotas]
"ml.m5.xlarge for training job usage" = 0
"ml.t2.medium for endpoint usage" = 1
"""


@pytest.fixture(scope="module", autouse=True)
def _poor_account(tmp_path_factory: pytest.TempPathFactory) -> object:
    """A region with small quotas, in which somebody has a database and an endpoint's log."""
    folder = tmp_path_factory.mktemp("poor")
    config = folder / "localaws.toml"
    settings = (ROOT / "localaws.toml").read_text(encoding="utf-8")
    config.write_text(settings.replace('"containers"', f'"{ROOT / "containers"}"') + QUOTAS, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch, local_region(folder / "region", config):
        for variable, value in region_environment(folder / "region").items():
            patch.setenv(variable, value)
        boto3.client("glue").create_database(DatabaseInput={"Name": "visitcast_dev"})
        boto3.client("logs").create_log_group(logGroupName="/aws/vendedlogs/states/visitcast-train-dev")
        yield


def found() -> list[Check]:
    return list(checks(read_deployment("dev")))


def test_what_would_fail_is_found_and_has_a_remedy() -> None:
    rows = found()
    failures = [(check.name, check.found) for check in rows if check.status == FAILURE]
    assert failures == [
        ("name", "Glue::Database visitcast_dev exists outside of the stack"),
        ("name", "Logs::LogGroup /aws/vendedlogs/states/visitcast-train-dev exists outside of the stack"),
        ("ml.m5.xlarge for training job usage", "0, needs 1"),
    ]
    warnings = [(check.name, check.found) for check in rows if check.status == WARNING]
    assert warnings == [("ml.t2.medium for endpoint usage", "1, an update needs 2")]
    assert all(check.remedy for check in rows if check.status != OK)
    fine = {check.name: check.found for check in rows if check.status == OK}
    assert fine["region"] == "eu-central-1"
    assert fine["public registry"] == "login works"
    assert fine["services"].startswith("all ")


def test_parameters_and_input_that_avoid_it_pass() -> None:
    given = {"Training": {"InstanceType": "ml.m5.2xlarge"}}
    deployment = read_deployment("dev", changed={"Environment": "other"}, given=given)
    rows = [check for look in (check_names, check_quotas) for check in look(Account(), deployment)]
    assert [check.name for check in rows if check.status == FAILURE] == []


@pytest.mark.parametrize(
    ("region", "name", "cause", "remedy"),
    [
        pytest.param("", "region", "none", "AWS_REGION", id="no region"),
        pytest.param("ca-west-1", "services", "lacks codebuild", "another region", id="a region without CodeBuild"),
    ],
)
def test_a_region_that_is_missing_or_lacks_a_service(
    monkeypatch: pytest.MonkeyPatch, region: str, name: str, cause: str, remedy: str
) -> None:
    for variable in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(variable, region)
    failure = next(check for check in found() if check.status == FAILURE)
    assert failure.name == name
    assert cause in failure.found
    assert remedy in failure.remedy


def test_the_command_prints_the_table_and_fails() -> None:
    done = subprocess.run(
        ["make", "preflight", "PARAMETERS=EndpointMode=none"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=patient(120),
    )
    assert done.returncode != 0
    assert "3 of these would make the deployment or the first run fail." in done.stdout
    assert "0, needs 1" in done.stdout
    assert "endpoint usage" not in done.stdout
