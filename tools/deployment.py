"""What an environment of samconfig.toml would deploy: parameters, names and instances."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[1]
INPUT_SCHEMAS = tuple(ROOT / "statemachine" / f"{name}.input.schema.json" for name in ("train", "forecast"))

JOBS = {
    "Preprocessing": "processing job usage",
    "Training": "training job usage",
    "Evaluation": "processing job usage",
    "Requests": "processing job usage",
    "Transform": "transform job usage",
    "Plan": "processing job usage",
}
"""What the quota of the instances of each section of the execution inputs is called."""
SPOT, ENDPOINT = "spot training job usage", "endpoint usage"


class Listed(NamedTuple):
    """How the names of a type of resource are found: its property in the template, and the list of all."""

    property: str
    service: str
    operation: str
    names: str


FIXED_NAMES = {
    "AWS::Glue::Database": Listed("DatabaseInput.Name", "glue", "get_databases", "DatabaseList[].Name"),
    "AWS::Athena::WorkGroup": Listed("Name", "athena", "list_work_groups", "WorkGroups[].Name"),
    "AWS::SageMaker::ModelPackageGroup": Listed(
        "ModelPackageGroupName",
        "sagemaker",
        "list_model_package_groups",
        "ModelPackageGroupSummaryList[].ModelPackageGroupName",
    ),
    "AWS::ECR::Repository": Listed("RepositoryName", "ecr", "describe_repositories", "repositories[].repositoryName"),
    "AWS::Serverless::StateMachine": Listed("Name", "stepfunctions", "list_state_machines", "stateMachines[].name"),
    "AWS::Scheduler::Schedule": Listed("Name", "scheduler", "list_schedules", "Schedules[].Name"),
    "AWS::Logs::LogGroup": Listed("LogGroupName", "logs", "describe_log_groups", "logGroups[].logGroupName"),
    "AWS::CloudWatch::Alarm": Listed("AlarmName", "cloudwatch", "describe_alarms", "MetricAlarms[].AlarmName"),
    "AWS::CloudWatch::Dashboard": Listed(
        "DashboardName", "cloudwatch", "list_dashboards", "DashboardEntries[].DashboardName"
    ),
}
"""Types whose names the template fixes; other resources get a name from CloudFormation."""


@dataclass(frozen=True)
class Deployment:
    """What would be deployed.

    Attributes
    ----------
    stack
        Name of the stack.
    parameters
        All parameters of the template: defaults, samconfig.toml, and what the command line changes.
    inputs
        Sections of both execution inputs by name, with their defaults.
    """

    stack: str
    parameters: Mapping[str, str]
    inputs: Mapping[str, Mapping[str, Any]]
    template: Mapping[str, Any] = field(repr=False)

    @property
    def types(self) -> dict[str, str]:
        """Instance type of each section of the inputs."""
        return {name: section["InstanceType"] for name, section in self.inputs.items() if "InstanceType" in section}

    @property
    def builds_images(self) -> bool:
        """Whether the stack builds its images."""
        return not self.parameters["TrainingImageUri"]

    def value(self, text: Any) -> str:
        """Return the text that intrinsic functions over parameters give."""
        match text:
            case {"Ref": name}:
                return str(self.parameters[name])
            case {"Fn::Sub": [template, values]}:
                given = {name: self.value(value) for name, value in values.items()}
                return re.sub(r"\$\{(\w+)\}", lambda found: given.get(found[1]) or self.parameters[found[1]], template)
            case {"Fn::Sub": template}:
                return self.value({"Fn::Sub": [template, {}]})
            case {"Fn::Join": [separator, {"Fn::Split": [at, whole]}]}:
                return str(separator).join(self.value(whole).split(at))
        return str(text)

    def fixed_names(self) -> Iterator[tuple[str, str]]:
        """Yield type and name of each resource whose name the template fixes."""
        for resource in self.template["Resources"].values():
            properties = resource["Properties"]
            if resource["Type"] == "AWS::ECR::Repository" and not self.builds_images:
                continue
            if resource["Type"] in FIXED_NAMES:
                name: Any = properties
                for part in FIXED_NAMES[resource["Type"]].property.split("."):
                    name = name.get(part, {})
                if name:
                    yield resource["Type"], self.value(name)
            for event in properties.get("Events", {}).values():
                if event["Type"] == "ScheduleV2":
                    yield "AWS::Scheduler::Schedule", self.value(event["Properties"]["Name"])


def read_deployment(
    environment: str, stack: str = "", changed: Mapping[str, str] | None = None, given: Mapping[str, Any] | None = None
) -> Deployment:
    """Read what an environment of samconfig.toml would deploy.

    Parameters
    ----------
    environment
        Section of samconfig.toml.
    stack
        Another name of the stack.
    changed
        Parameters that differ from samconfig.toml's.
    given
        Execution inputs, whose sections are merged with the defaults.

    Raises
    ------
    SystemExit
        The environment or a parameter does not exist.
    """
    config = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
    if environment not in config:
        raise SystemExit(f"samconfig.toml has no environment {environment}. It has {', '.join(list(config)[1:])}.")
    overrides = config[environment]["deploy"]["parameters"]["parameter_overrides"]
    template = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    parameters = {name: str(entry.get("Default", "")) for name, entry in template["Parameters"].items()}
    # sam takes a value with spaces in quotes.
    given_there = {name: value.strip('"') for name, _, value in (item.partition("=") for item in overrides)}
    chosen = {**given_there, **(changed or {})}
    if unknown := sorted(chosen.keys() - parameters.keys()):
        raise SystemExit(f"The template has no parameter {unknown[0]}. It has {', '.join(sorted(parameters))}.")
    inputs: dict[str, Any] = {}
    for file in INPUT_SCHEMAS:
        for name, section in json.loads(file.read_text(encoding="utf-8"))["properties"].items():
            defaults = {key: entry.get("default") for key, entry in section.get("properties", {}).items()}
            inputs[name] = {**defaults, **(given or {}).get(name, {})} if defaults else section.get("default")
    return Deployment(
        stack or config[environment]["global"]["parameters"]["stack_name"],
        {**parameters, **chosen},
        {name: section for name, section in inputs.items() if isinstance(section, dict)},
        template,
    )


def needed_quotas(deployment: Deployment) -> dict[str, tuple[int, int]]:
    """Return by quota how many instances a first run needs, and how many later runs need."""
    needed: dict[str, tuple[int, int]] = {}
    for section, use in JOBS.items():
        if section == "Training" and deployment.parameters["SpotTraining"] == "yes":
            needed[f"{deployment.types[section]} for {SPOT}"] = 1, 1
        count = int(deployment.inputs[section].get("InstanceCount") or 1)
        name = f"{deployment.types[section]} for {use}"
        most = max(count, needed.get(name, (0, 0))[0])
        needed[name] = most, most
    if deployment.parameters["EndpointMode"] == "instance":
        count = int(deployment.inputs["Endpoint"]["InstanceCount"])
        # An update starts the new instances before it stops the old ones.
        needed[f"{deployment.types['Endpoint']} for {ENDPOINT}"] = count, 2 * count
    return needed
