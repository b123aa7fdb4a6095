"""The real stack in a local region, for tests: deployed by the real `sam`, driven by boto3 alone.

The region is found through the environment: where ``VISITCAST_TEST_STACK`` names a deployed stack, the tests use that
stack and whatever endpoint the AWS_* variables lead to, a real account included; else they start a region of their own.
"""

from __future__ import annotations

import csv
import io
import json
import tarfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import boto3
from patience import patient
from region_control import control, order_fault

ROOT = Path(__file__).resolve().parents[2]
STACK_NAME = "visitcast-test"
TEXT_COLUMNS = {"user_id", "visit_date", "platform"}
WITHIN_SECONDS = patient(300)
PARAMETERS = {"Revision": "4a1b2c3", "ApprovalMode": "on-request", "AlarmEmail": "operator@example.com"}
"""What the tests' stack is deployed with besides samconfig.toml."""

COPY = "import shutil, sys; shutil.copytree(sys.argv[1], '.', dirs_exist_ok=True)"
"""Program of a container that copies a folder to its /opt/ml, the folder in which the region starts it."""

QUICK: dict[str, Any] = {"Hyperparameters": {"epochs": 1, "units": 8}, "Gate": {"MustBeat": []}}
"""Execution input for a run whose model's quality does not matter."""


@dataclass(frozen=True)
class Execution:
    """A finished execution."""

    arn: str
    status: str
    error: str
    cause: str
    output: dict[str, Any]
    states: list[str]
    """Names of the states in the order in which they were entered."""
    events: list[dict[str, Any]]

    @property
    def end_state(self) -> str:
        return self.states[-1]

    def outputs_of(self, state: str) -> list[dict[str, Any]]:
        """Return what a state gave, once for each time it was left."""
        exits = [e["stateExitedEventDetails"] for e in self.events if "stateExitedEventDetails" in e]
        return [json.loads(details["output"]) for details in exits if details["name"] == state]


@dataclass(frozen=True)
class Stack:
    """A deployed stack and the region it is in."""

    outputs: dict[str, str]
    region_url: str
    home: Path

    @cached_property
    def s3(self) -> Any:
        return boto3.client("s3")

    @cached_property
    def sagemaker(self) -> Any:
        return boto3.client("sagemaker")

    @cached_property
    def step_functions(self) -> Any:
        return boto3.client("stepfunctions")

    @property
    def bucket(self) -> str:
        return self.outputs["BucketName"]

    def start(self, execution_input: Any, machine: str = "TrainStateMachineArn") -> str:
        """Start the state machine that an output names; return the execution's ARN."""
        response = self.step_functions.start_execution(
            stateMachineArn=self.outputs[machine], input=json.dumps(execution_input)
        )
        arn: str = response["executionArn"]
        return arn

    def finish(self, arn: str) -> Execution:
        """Wait until an execution has ended."""
        description = wait_for(
            lambda: self.step_functions.describe_execution(executionArn=arn), lambda d: d["status"] != "RUNNING"
        )
        events = self.history(arn)
        return Execution(
            arn=arn,
            status=description["status"],
            error=description.get("error", ""),
            cause=description.get("cause", ""),
            output=json.loads(description.get("output") or "{}"),
            states=entered(events),
            events=events,
        )

    def run(self, execution_input: Any) -> Execution:
        """Run the training workflow to its end."""
        return self.finish(self.start(execution_input))

    def executions(self, machine: str = "TrainStateMachineArn") -> list[str]:
        """List the executions of a state machine, the newest first."""
        listed = self.step_functions.list_executions(stateMachineArn=self.outputs[machine])["executions"]
        return [entry["executionArn"] for entry in sorted(listed, key=lambda entry: entry["startDate"], reverse=True)]

    def version(self, number: int) -> dict[str, Any]:
        """Describe a version of the model registry."""
        group = self.outputs["ModelPackageGroupName"]
        listed = self.sagemaker.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]
        arn = next(entry["ModelPackageArn"] for entry in listed if entry["ModelPackageVersion"] == number)
        found: dict[str, Any] = self.sagemaker.describe_model_package(ModelPackageName=arn)
        return found

    def run_forecast(self, execution_input: Any) -> Execution:
        """Run the forecast workflow to its end."""
        return self.finish(self.start(execution_input, "ForecastStateMachineArn"))

    def query(self, sql: str) -> list[dict[str, str]]:
        """Ask Athena in the stack's database; every value comes as text."""
        athena = boto3.client("athena")
        started = athena.start_query_execution(
            QueryString=sql,
            QueryExecutionContext={"Database": self.outputs["DatabaseName"]},
            WorkGroup=self.outputs["WorkGroupName"],
        )["QueryExecutionId"]
        found = wait_for(
            lambda: athena.get_query_execution(QueryExecutionId=started)["QueryExecution"],
            lambda query: query["Status"]["State"] not in ("QUEUED", "RUNNING"),
        )
        assert found["Status"]["State"] == "SUCCEEDED", found["Status"]
        text = self.read(found["ResultConfiguration"]["OutputLocation"]).decode()
        return list(csv.DictReader(io.StringIO(text)))

    def history(self, arn: str) -> list[dict[str, Any]]:
        pages = self.step_functions.get_paginator("get_execution_history").paginate(executionArn=arn)
        return [event for page in pages for event in page["events"]]

    def wait_for_state(self, arn: str, state: str) -> None:
        """Wait until an execution has entered a state."""
        wait_for(lambda: entered(self.history(arn)), lambda states: state in states)

    def read_json(self, uri: str) -> Any:
        return json.loads(self.read(uri))

    def read(self, uri: str) -> bytes:
        place = urlparse(uri)
        body: bytes = self.s3.get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))["Body"].read()
        return body

    def keys(self, prefix: str) -> dict[str, str]:
        """Return the ETag of each object under a prefix of the stack's bucket."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return {item["Key"]: item["ETag"] for page in pages for item in page.get("Contents", [])}

    def order_fault(self, **fault: Any) -> None:
        """Make something go wrong in the local region; see localaws/faults.py."""
        order_fault(self.home, **fault)

    def lift_faults(self) -> None:
        control(self.home, "DELETE", "faults")

    def processes(self) -> list[dict[str, Any]]:
        """List the jobs, endpoints and handlers that run now."""
        found: list[dict[str, Any]] = control(self.home, "GET", "processes")
        return found

    def invoke(self, function: str, payload: Any) -> tuple[Any, bool]:
        """Invoke a function of the stack by its logical id; return its answer and whether it failed."""
        resources = boto3.client("cloudformation").describe_stack_resources(StackName=STACK_NAME)["StackResources"]
        name = next(r["PhysicalResourceId"] for r in resources if r["LogicalResourceId"] == function)
        response = boto3.client("lambda").invoke(FunctionName=name, Payload=json.dumps(payload))
        return json.loads(response["Payload"].read()), "FunctionError" in response


@dataclass(frozen=True)
class Production:
    """The stack's endpoint after a run that succeeded, and the results of that run."""

    stack: Stack
    execution: Execution

    @cached_property
    def results(self) -> Path:
        """Folder of the results of the run's jobs: for each command of an image what its container left in /opt/ml."""
        folder = self.stack.home / "results" / self.execution.arn.rpartition(":")[2]
        uris = self.execution.outputs_of("Prepare run")[0]["run"]["Uris"]
        self._fetch(uris["Dataset"], folder / "preprocess/processing/output/dataset")
        self._fetch(uris["Evaluation"], folder / "evaluate/processing/output/evaluation")
        model = self.stack.read(self.execution.outputs_of("Train")[0]["training"]["ModelDataUrl"])
        with tarfile.open(fileobj=io.BytesIO(model)) as archive:
            archive.extraction_filter = getattr(tarfile, "data_filter", None)  # None before Python 3.11.4
            archive.extractall(folder / "train/model")
        return folder

    def _fetch(self, uri: str, folder: Path) -> None:
        prefix = urlparse(uri).path.lstrip("/") + "/"
        for key in self.stack.keys(prefix):
            file = folder / key.removeprefix(prefix)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(self.stack.read(f"s3://{self.stack.bucket}/{key}"))

    def replay(self, *commands: str, after: int = 0) -> None:
        """Let containers that get one of these commands copy the results of this run, until the faults are lifted.

        For tests of what comes after these jobs. The jobs are real, with their names, inputs and outputs; only the
        process in the container copies files instead of computing them.

        Parameters
        ----------
        commands
            ``preprocess``, ``train``, ``evaluate``.
        after
            How many containers with each command run first as they are.
        """
        for command in commands:
            image = "preprocessing" if command == "preprocess" else "training"
            argv = ["python", "-c", COPY, str(self.results / command)]
            self.stack.order_fault(image=image, match=f" {command}", argv=argv, after=after, times=100)

    @cached_property
    def endpoint(self) -> str:
        return self.stack.outputs["EndpointName"]

    @cached_property
    def request(self) -> bytes:
        """One user's visits and the day after, taken from the run's own visits file."""
        run = self.execution.outputs_of("Prepare run")[0]["run"]
        rows = list(csv.DictReader(io.StringIO(self.stack.read(run["InputFilePath"]).decode())))
        user_id = rows[0]["user_id"]
        visits = [
            {name: value if name in TEXT_COLUMNS else int(value) for name, value in row.items() if name != "user_id"}
            for row in rows
            if row["user_id"] == user_id
        ]
        next_day = date.fromisoformat(visits[-1]["visit_date"]) + timedelta(days=1)
        return json.dumps({"users": [{"user_id": user_id, "date": str(next_day), "visits": visits}]}).encode()

    def forecast(self) -> dict[str, Any]:
        """Ask the endpoint; fails when it does not answer with one forecast."""
        response = boto3.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=self.endpoint, ContentType="application/json", Body=self.request
        )
        (forecast,) = json.loads(response["Body"].read())["forecasts"]
        return dict(forecast)

    def config(self) -> str:
        """Return the name of the endpoint config that is in production now."""
        name: str = self.stack.sagemaker.describe_endpoint(EndpointName=self.endpoint)["EndpointConfigName"]
        return name


def quota(instances: int, *, in_use: int, usage: str = "training job") -> str:
    """Return what SageMaker says of a request for an instance more than a quota allows."""
    return (
        f"The account-level service limit 'ml.m5.xlarge for {usage} usage' is {instances} Instances, with current "
        f"utilization of {in_use} Instances and a request delta of 1 Instances. Please use AWS Service Quotas to "
        "request an increase for this quota. If AWS Service Quotas is not available, contact AWS support to request an "
        "increase for this quota."
    )


def requested(execution: Execution, action: str) -> list[dict[str, Any]]:
    """Return the parameters of every attempt at an API call, such as ``createTrainingJob``."""
    scheduled = [e["taskScheduledEventDetails"] for e in execution.events if "taskScheduledEventDetails" in e]
    return [json.loads(details["parameters"]) for details in scheduled if details["resource"].startswith(action)]


def entered(events: list[dict[str, Any]]) -> list[str]:
    return [e["stateEnteredEventDetails"]["name"] for e in events if "stateEnteredEventDetails" in e]


def wait_for(look: Any, is_enough: Any) -> Any:
    """Look again and again until it is enough; give up after some minutes."""
    end = time.monotonic() + WITHIN_SECONDS
    while not is_enough(seen := look()):
        if time.monotonic() > end:
            raise TimeoutError(f"Still not there after {WITHIN_SECONDS:g} s; last seen: {seen!r:.500}")
        time.sleep(0.1)
    return seen


@dataclass(frozen=True)
class EmptyRegion:
    """A region without stacks, and what `sam build` made for deployments to it."""

    home: Path
    build: Path
    variables: Mapping[str, str]
    """What leads AWS clients to the region."""
