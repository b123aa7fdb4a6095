"""What a deployment needs of an account, as the preflight reads it from template, samconfig.toml and input schemas."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import costs
import marked_part
import preflight
import pytest
from deployment import needed_quotas, read_deployment
from moto import mock_aws
from preflight import check_costs
from test_events_table_sql import SAME, glue_table

ROOT = Path(__file__).resolve().parents[2]


def test_the_operators_table_of_quotas_is_what_the_defaults_need() -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    table = dict(re.findall(r"^\| `(ml\.[^`]+ usage)` \| (\d+)", text, re.MULTILINE))
    needed = needed_quotas(read_deployment("dev"))
    assert {name: int(number) for name, number in table.items()} == {name: later for name, (_, later) in needed.items()}
    assert all(name in text.partition("list-service-quotas")[2] for name in needed)  # the command asks for them


@pytest.mark.parametrize(
    ("changed", "given", "quotas"),
    [
        ({"SpotTraining": "yes"}, {}, {"ml.m5.xlarge for spot training job usage": (1, 1)}),
        (
            {},
            {"Endpoint": {"InstanceType": "ml.c5.xlarge", "InstanceCount": 2}},
            {"ml.c5.xlarge for endpoint usage": (2, 4)},
        ),
        ({}, {"Transform": {"InstanceCount": 5}}, {"ml.m5.xlarge for transform job usage": (5, 5)}),
    ],
    ids=["spot", "endpoint", "transform"],
)
def test_parameters_and_input_choose_the_quotas(
    changed: dict[str, str], given: dict[str, Any], quotas: dict[str, tuple[int, int]]
) -> None:
    assert quotas.items() <= needed_quotas(read_deployment("dev", changed=changed, given=given)).items()


@pytest.mark.parametrize("mode", ["serverless", "none"])
def test_without_instances_the_endpoint_needs_no_quota(mode: str) -> None:
    needed = needed_quotas(read_deployment("dev", changed={"EndpointMode": mode}))
    assert not [name for name in needed if "endpoint" in name]


def names_with_the_environment(value: Any, key: str = "") -> Iterator[Any]:
    """Yield what gives a name in the properties of a resource and has the environment in it."""
    if isinstance(value, dict) and key.endswith("Name") and "Environment" in json.dumps(value):
        yield value
    elif isinstance(value, dict) and not any(name.startswith("Fn::") for name in value):
        for name, inner in value.items():
            if name not in ("DisplayName", "DefinitionSubstitutions", "Variables"):
                yield from names_with_the_environment(inner, name)


def test_every_name_that_the_template_fixes_is_looked_up() -> None:
    deployment = read_deployment("dev", changed={"Environment": "a-b"})
    resources = deployment.template["Resources"].values()
    fixed = {deployment.value(name) for entry in resources for name in names_with_the_environment(entry["Properties"])}
    looked_up = {name for _, name in deployment.fixed_names()}
    assert fixed == looked_up
    assert {"visitcast_a_b", "visitcast-a-b/training", "/aws/vendedlogs/states/visitcast-train-a-b"} <= fixed


def test_images_of_ones_own_need_no_repositories() -> None:
    image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/mine:1"
    deployment = read_deployment("dev", changed={"TrainingImageUri": image})
    assert not [kind for kind, _ in deployment.fixed_names() if "ECR" in kind]


def test_the_costs_are_those_of_the_document() -> None:
    rows = dict(
        re.findall(
            r"^\| ([^|]+) \| [^|]+ \| ([\d.]+) \|$",
            "\n".join(marked_part.read(ROOT / "docs/costs.md", "costs")),
            re.MULTILINE,
        )
    )
    found = {check.name: check.found.split()[0] for check in check_costs(preflight.Account(), read_deployment("dev"))}
    month = float(rows["a month of the stack itself"]) + float(rows["a month of the endpoint"])
    assert found == {
        "costs: first deployment": rows["the images, once and after each change of containers/"],
        "costs: a month": f"{month:.2f}",
        "costs: a training run": rows[f"one run, {costs.WORKLOADS[0].name}"],
        "costs: a forecast run": rows["a million forecasts in a batch"],
    }


def test_a_type_without_a_price_is_named() -> None:
    deployment = read_deployment("dev", given={"Training": {"InstanceType": "ml.p5.48xlarge"}})
    (check,) = check_costs(preflight.Account(), deployment)
    assert (check.status, check.found) == ("warning", "no price of ml.p5.48xlarge")


@pytest.mark.parametrize(
    ("environment", "changed", "message"),
    [
        ("staging", {}, "has no environment staging. It has default, dev, prod, local"),
        ("dev", {"EndpointMod": "none"}, "has no parameter EndpointMod"),
    ],
)
def test_what_does_not_exist_is_refused(environment: str, changed: dict[str, str], message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        read_deployment(environment, changed=changed)


@pytest.mark.parametrize(
    ("changed", "status", "told"),
    [
        ({}, preflight.OK, "the stack's own table"),
        ({"EventsTableName": "app-events"}, preflight.OK, "lake.app-events in s3://the-lake/app/events/"),
        ({"EventsTableName": "none"}, preflight.FAILURE, "lake.none does not exist"),
        (
            {"EventsTableName": "app-events", "EventsMapping": "--columns event_time=context"},
            preflight.FAILURE,
            "Column context cannot be event_time. It has the type struct",
        ),
    ],
)
def test_a_table_of_ones_own_is_looked_at(
    changed: dict[str, str], status: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    table = glue_table(SAME["segment"][0])
    mapping = {"EventsDatabase": "lake", "EventsMapping": "--time-zone Europe/Berlin"}
    with mock_aws():
        glue = boto3.client("glue")
        glue.create_database(DatabaseInput={"Name": "lake"})
        glue.create_table(DatabaseName="lake", TableInput={name: table[name] for name in ("Name", "StorageDescriptor")})
        (check,) = preflight.check_events_table(preflight.Account(), read_deployment("dev", changed=mapping | changed))
    assert check.status == status
    assert told in check.found
    assert check.remedy or status == preflight.OK
