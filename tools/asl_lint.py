"""Lint the state machines: cfn-lint checks inline definitions only, and nothing checks the substitutions.

For every state machine of template.yaml: the definition is valid Amazon States Language (cfn-lint's own schema, fed
with the definition inlined), every ``${Name}`` in it is defined by the template and every defined one is used, every
state can be reached, every task has a Catch, a Retry and a time limit, and every Fail state says what went wrong. Every
Retry is one of the policies in statemachine/retry-policies.json, and every error in a Retry or a Catch exists.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import botocore.exceptions
import botocore.session
from cfnlint.api import lint
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[1]
SUBSTITUTION = re.compile(r"\$\{(\w+)\}")

POLICIES: dict[str, list[dict[str, Any]]] = json.loads(
    (ROOT / "statemachine/retry-policies.json").read_text(encoding="utf-8")
)["Policies"]
POLICY_OF_RESOURCE = {
    r"lambda:invoke": "lambda",
    r"athena:startQueryExecution\.sync": "athena-query",
    r"sagemaker:create\w+Job\.sync": "sagemaker-job",
    r"aws-sdk:sagemaker:(create|update)Endpoint": "endpoint",
    r"aws-sdk:\w+:\w+|sns:publish|states:startExecution": "service-call",
}
"""What a task calls, after ``arn:aws:states:::``, and the policy that it retries by. The first that matches counts."""

DOCUMENTED_ERRORS = {
    # https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
    *("States.ALL", "States.Timeout", "States.TaskFailed"),
    # https://docs.aws.amazon.com/step-functions/latest/dg/bp-lambda-serviceexception.html
    *("Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.SdkClientException"),
    *("Lambda.TooManyRequestsException", "Lambda.ClientExecutionTimeoutException"),
    # Names that the optimised integrations use for errors without a name in the service's model.
    *("SageMaker.AmazonSageMakerException", "Athena.AmazonAthenaException"),
}
SERVICES = {"Athena": "athena", "S3": "s3", "SageMaker": "sagemaker"}
"""Prefixes of error names, and botocore's names of the services."""
SERVICES_OF_HANDLERS = ("athena", "glue", "s3", "sagemaker", "sqs")
"""Services that handlers call. Their modelled errors reach the state machine by name alone."""

State = dict[str, Any]


def main() -> int:
    """Print one line per finding and return the number of findings (0: all is well)."""
    findings = [finding for name, machine in state_machines() for finding in check(name, machine)]
    for finding in findings:
        print(finding)
    if not findings:
        print("state machines: no findings")
    return len(findings)


def state_machines() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield logical id and properties of each state machine in the template."""
    template = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::StateMachine":
            yield name, resource["Properties"]


def check(name: str, machine: dict[str, Any]) -> Iterator[str]:
    """Yield the findings of one state machine, each as ``file: message``."""
    uri = machine["DefinitionUri"]
    text = (ROOT / uri).read_text(encoding="utf-8")
    used, given = set(SUBSTITUTION.findall(text)), set(machine.get("DefinitionSubstitutions", {}))
    yield from (f"{uri}: ${{{missing}}} is used but {name} does not define it" for missing in sorted(used - given))
    yield from (f"{uri}: {name} defines {unused} but nothing uses it" for unused in sorted(given - used))
    values = machine.get("DefinitionSubstitutions", {})
    definition = json.loads(SUBSTITUTION.sub(lambda match: sample_value(match.group(1), values), text))
    yield from (f"{uri}: {finding}" for finding in cfn_lint(definition))
    yield from (f"{uri}: {finding}" for finding in check_states(definition))


def sample_value(substitution: str, values: dict[str, Any]) -> str:
    """Return a sample of a value that only a deployment knows."""
    match values.get(substitution):
        case {"Fn::If": [_, str(text), str()]}:  # a parameter that may be left out; here it is not
            return text
    if substitution == "AwsPartition":
        return "aws"
    return f"arn:aws:service:eu-central-1:123456789012:{substitution}" if substitution.endswith("Arn") else substitution


def cfn_lint(definition: dict[str, Any]) -> list[str]:
    """Return the findings of cfn-lint for a definition inlined in a minimal template."""
    properties = {"RoleArn": "arn:aws:iam::123456789012:role/r", "Definition": definition}
    template = {"Resources": {"Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}}}
    return [
        f"{match.rule.id} {match.message}" for match in lint(json.dumps(template), config={"regions": ["eu-central-1"]})
    ]


def check_states(machine: State, *, inside: bool = False) -> Iterator[str]:
    """Yield what is wrong with the states of a machine, and of the maps and branches in it.

    Parameters
    ----------
    machine
        A definition, an ItemProcessor or a branch.
    inside
        Whether it is one of the latter two.
    """
    states: dict[str, State] = machine["States"]
    entered = {machine["StartAt"], *(target for state in states.values() for target in targets(state))}
    yield from (f"state {name!r} cannot be reached" for name in sorted(states.keys() - entered))
    yield from (f"state {name!r} does not exist" for name in sorted(entered - states.keys()))
    for name, state in states.items():
        if state["Type"] == "Task":
            yield from (f"task {name!r} has no {part}" for part in missing_parts(state, inside=inside))
            yield from (f"task {name!r} {finding}" for finding in check_retry(state))
        parts = (*state.get("Branches", []), *([state["ItemProcessor"]] if "ItemProcessor" in state else []))
        own = {inner.get("Error") for part in parts for inner in part["States"].values() if inner["Type"] == "Fail"}
        yield from (f"state {name!r}: no error is named {error}" for error in unknown_errors(state) if error not in own)
        if state["Type"] == "Fail" and not state.keys() & {"Cause", "CausePath"}:
            yield f"fail state {name!r} gives no cause"
        for part in parts:
            yield from check_states(part, inside=True)


def missing_parts(task: State, *, inside: bool) -> list[str]:
    """Return the parts that a task lacks. Inside a map or a branch the outer Catch is enough."""
    missing = [] if task.keys() & {"TimeoutSeconds", "TimeoutSecondsPath"} else ["time limit"]
    return missing + [part for part in ("Retry", "Catch") if part not in task and not (part == "Catch" and inside)]


def check_retry(task: State) -> Iterator[str]:
    """Yield how the Retry of a task differs from the policy for what it calls."""
    resource = task["Resource"].rpartition(":states:::")[2]
    policy = next((name for pattern, name in POLICY_OF_RESOURCE.items() if re.fullmatch(pattern, resource)), None)
    if policy is None:
        yield f"calls {resource}, which has no retry policy"
    elif task.get("Retry") != POLICIES[policy]:
        yield f"does not retry by the policy {policy}"


def unknown_errors(state: State) -> list[str]:
    """Return the error names in a state's Retry and Catch that neither AWS nor a handler uses."""
    named = [error for part in ("Retry", "Catch") for item in state.get(part, []) for error in item["ErrorEquals"]]
    return [error for error in named if error not in known_errors()]


@cache
def known_errors() -> frozenset[str]:
    """Return the names of all errors that a task may end with.

    An error of a service carries the service's prefix and ends in "Exception", as in the AWS SDK for Java. An error of
    a handler is named as its Python class: of botocore, of a service's model, or of the handler itself.
    """
    names = set(DOCUMENTED_ERRORS)
    for prefix, service in SERVICES.items():
        names |= {f"{prefix}.{error.removesuffix('Exception')}Exception" for error in errors_of(service)}
        names |= {f"{prefix}.{prefix}Exception", f"{prefix}.SdkClientException"}
    for service in SERVICES_OF_HANDLERS:
        names |= errors_of(service)
    names |= {name for name, item in vars(botocore.exceptions).items() if isinstance(item, type)}
    for file in (ROOT / "functions").rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        classes = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
        names |= {node.name for node in classes if any("Error" in ast.unparse(base) for base in node.bases)}
    return frozenset(names)


def errors_of(service: str) -> set[str]:
    """Return the names of the error shapes in the model of a service."""
    model = botocore.session.get_session().get_service_model(service)
    return {shape.name for shape in model.error_shapes}


def targets(state: State) -> Iterator[str]:
    """Yield the names of all states that may follow a state."""
    for holder in (state, *state.get("Choices", []), *state.get("Catch", [])):
        yield from (holder[key] for key in ("Next", "Default") if key in holder)


if __name__ == "__main__":
    sys.exit(min(main(), 1))
