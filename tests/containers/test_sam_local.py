"""Every function in AWS's Lambda image, called through `sam local` with the events of ``functions/events/``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import boto3
import docker
import pyarrow as pa
import pytest
from container_engine import new_name
from deployed_stack import PARAMETERS, ROOT, STACK_NAME, Stack, wait_for
from docker.errors import DockerException
from region_relay import relay
from sam_commands import deploy, local_region, region_environment
from sam_local import SamLocal, write_template, write_variables

from demo.simulator import World, simulate
from demo.upload import partition_files, replace_events
from functions.shared.standing_plans import KEY, NOTHING

EVENTS = ROOT / "functions" / "events"
IMAGE = "public.ecr.aws/lambda/python:3.13-x86_64"
RUN = "runs/20261123-091500-85c438"
SUMS = (
    "arm,third,outcome,lowest_chance,highest_chance,dates,pushes,users,sends,outcomes,predicted,sends_squared,"
    "outcomes_squared,sends_times_outcomes,predicted_squared,sends_times_predicted,outcomes_times_predicted\n"
) + "".join(
    f"{arm},1,{outcome},0.25,0.25,1,{pushes},{users},{users},{came},{0.25 * users},{users},{came},{came},"
    f"{0.0625 * users},{0.25 * users},{0.25 * came}\n"
    for arm, users, pushes in (("best_hour", 8000, 8000), ("no_push", 1000, 0))
    for outcome, came in (("sent", users), ("visited_date", users // 4))
)
ANSWERS: dict[str, Any] = {
    "copy_s3_content": {"SizeInBytes": ANY},
    "find_production_model": {"errorType": "NoProductionModel"},
    "get_query_execution": {"State": "SUCCEEDED"},
    "hand_over": {"Sent": 1},
    "measure_lift": {"ResponseHours": 2, "Arms": [ANY, ANY], "Lifts": ANY, "Thirds": ANY, "Words": ANY},
    "prepare_forecast": {"ForecastDate": "2026-11-24", "Uris": ANY},
    "prepare_run": {"RunId": ANY, "Names": ANY},
    "publish_forecasts": {"Tables": {"send_plans": "created", "sends": "created", "visit_forecasts": "created"}},
    "push_consumer": {"batchItemFailures": []},
    "record_deployment": {"RejectedVersions": []},
    "start_query_execution": {"QueryExecutionId": ANY},
}
"""What a function's answer holds at least."""
CUSTOM_RESOURCES = {file.stem for file in EVENTS.glob("*.json") if "ResponseURL" in json.loads(file.read_text())}
FUNCTIONS = {file.stem for file in EVENTS.glob("*.json")} - CUSTOM_RESOURCES


def client_with_image() -> docker.DockerClient:
    """Return a client of Docker's API that has Lambda's image, or skip the tests.

    CI has both: there a skip would hide that they are gone, so it is a failure.
    """
    absent = pytest.fail if os.environ.get("CI") else pytest.skip
    if sys.platform != "linux":
        pytest.skip("containers reach the region through their network's gateway, which only Linux gives an address")
    try:
        client = docker.from_env()
        client.ping()
    except DockerException as error:
        absent(f"sam local needs Docker's API (podman: `podman system service`, DOCKER_HOST): {error}")
    try:
        if not client.images.list(IMAGE):
            client.images.pull(IMAGE)
    except DockerException as error:
        absent(f"sam local needs the image {IMAGE}, which is neither here nor to be had: {error}")
    return client


@dataclass(frozen=True)
class Functions:
    """The functions of a stack, deployed to the local region and run by `sam local`."""

    stack: Stack
    sam: SamLocal
    region_url: str
    """The region as the containers see it."""


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Functions]:
    client = client_with_image()
    home, build_folder = tmp_path_factory.mktemp("region"), tmp_path_factory.mktemp("build")
    with pytest.MonkeyPatch.context() as patch, local_region(home) as url:
        for variable, value in region_environment(home).items():
            patch.setenv(variable, value)
        stack = Stack(deploy(build_folder, **PARAMETERS), url, home)
        network = client.networks.create(new_name(), driver="bridge", internal=True)
        network.reload()
        gateway = network.attrs["IPAM"]["Config"][0]["Gateway"]
        with relay(gateway, int(url.rpartition(":")[2])) as port:
            seen = f"http://{gateway}:{port}"
            template, variables = write_template(build_folder), write_variables(home / "variables.json", seen)
            yield Functions(stack, SamLocal(template, variables, network.name), seen)
        network.remove()


@pytest.fixture(scope="module")
def places(functions: Functions) -> dict[str, str]:
    """What the events name, put into the region: their words, and what stands for each here."""
    stack = functions.stack
    events = pa.concat_tables(block.events for block in simulate(World(users=8, days=20, end=date(2026, 10, 31))))
    replace_events(stack.s3, stack.bucket, dict(partition_files(events)), lambda _: None)
    sql = next(key for key in stack.keys("sql/") if key.endswith("/visits.sql"))
    message = json.loads((EVENTS / "push_consumer.json").read_text())["Records"][0]["body"]
    objects = {
        f"{RUN}/messages/messages-00000.jsonl": message,
        f"{RUN}/messages/messages-00000.parquet": "its rows",
        f"{RUN}/report/profile.json": "{}",
        f"{RUN}/report/report.json": "{}",
        KEY: json.dumps(NOTHING),
        "athena-results/11111111-1111-4111-8111-111111111111.csv": SUMS,
    }
    for key, text in objects.items():
        stack.s3.put_object(Bucket=stack.bucket, Key=key, Body=text.encode())
    registry = boto3.client("ecr")
    registry.create_repository(repositoryName="your-repository")
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "layers": []}
    registry.put_image(repositoryName="your-repository", imageManifest=json.dumps(manifest), imageTag="your-tag")
    return {
        "your-bucket": stack.bucket,
        "your-stack": STACK_NAME,
        "your-group": "visitcast-local",
        "sql/0123456789abcdef": sql.rpartition("/")[0],
        "visitcast_dev": stack.outputs["DatabaseName"],
        "visitcast-dev": stack.outputs["WorkGroupName"],
    }


def event_of(name: str, places: dict[str, str], **more: str) -> str:
    """Text of an event with the places of this stack in it."""
    text = (EVENTS / f"{name}.json").read_text()
    for word, place in (places | more).items():
        text = text.replace(word, place)
    return text


def logical_id(name: str) -> str:
    """Name of a function in the template, made of its package's name."""
    return "".join(word.title() for word in name.split("_")) + "Function"


def query(functions: Functions, places: dict[str, str]) -> str:
    """Let the region run the source SQL; returns the query's id."""
    answer, _ = functions.stack.invoke(
        "StartQueryExecutionFunction", json.loads(event_of("start_query_execution", places))
    )
    wait_for(
        lambda: boto3.client("athena").get_query_execution(QueryExecutionId=answer["QueryExecutionId"]),
        lambda found: found["QueryExecution"]["Status"]["State"] not in ("QUEUED", "RUNNING"),
    )
    return str(answer["QueryExecutionId"])


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function_answers_its_event(functions: Functions, places: dict[str, str], name: str) -> None:
    query_id = query(functions, places) if name in ("get_query_execution", "copy_s3_content") else ""
    event = event_of(name, places, **({"00000000-0000-4000-8000-000000000000": query_id} if query_id else {}))
    answer = functions.sam.invoke(logical_id(name), event)
    expected = ANSWERS.get(name, {"errorType": None})
    assert {key: answer.get(key) for key in expected} == expected, answer


@pytest.mark.parametrize("name", sorted(CUSTOM_RESOURCES))
def test_a_custom_resource_answers_cloudformation(functions: Functions, places: dict[str, str], name: str) -> None:
    # CloudFormation's address for the answer is a presigned one as well.
    s3 = boto3.client("s3", endpoint_url=functions.region_url)
    place = {"Bucket": functions.stack.bucket, "Key": f"answers/{name}.json"}
    url = s3.generate_presigned_url("put_object", Params=place)
    functions.sam.invoke(logical_id(name), event_of(name, places, **{"http://your-answer-url/": url}))
    answer = functions.stack.read_json("s3://{Bucket}/{Key}".format(**place))
    assert answer["Status"] == "SUCCESS", answer


def test_boto3_drives_the_functions(functions: Functions, places: dict[str, str], tmp_path: Path) -> None:
    """Source SQL to input file, as the workflow does it, with the answers of `sam local start-lambda`."""
    with functions.sam.start_lambda(tmp_path / "start-lambda.log") as client:

        def call(name: str, event: dict[str, Any]) -> Any:
            response = client.invoke(FunctionName=logical_id(name), Payload=json.dumps(event))
            return json.loads(response["Payload"].read())

        started = call("start_query_execution", json.loads(event_of("start_query_execution", places)))
        found = wait_for(
            lambda: call("get_query_execution", started), lambda seen: seen["State"] not in ("QUEUED", "RUNNING")
        )
        assert found["State"] == "SUCCEEDED", found
        copied = f"s3://{functions.stack.bucket}/runs/sam-local/visits.csv"
        answer = call("copy_s3_content", {"SourceUri": found["OutputLocation"], "DestinationUri": copied})
        missing = call("copy_s3_content", {"SourceUri": f"{copied}.none", "DestinationUri": copied})
    body = functions.stack.read(copied)
    assert answer == {"Uri": copied, "SizeInBytes": len(body)}
    assert body == functions.stack.read(found["OutputLocation"])
    assert missing["errorType"] == "ClientError", missing
