"""Parameters of Task states: what Step Functions refuses itself, and what the service refuses."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from region import ROLE, Region
from state_machines import job_status, machine, output, processing

CAUGHT = {"Type": "Pass", "End": True}
CATCH = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]


def task(resource: str, parameters: Any, **options: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": f"arn:aws:states:::{resource}", "Parameters": parameters, **options}


def test_an_environment_value_that_is_too_long_for_sagemaker_is_an_error_of_sagemaker(region: Region) -> None:
    state = processing("pass", name="States.Format('{}', $.name)")
    state["Parameters"]["Environment"] = {"SETTINGS.$": "$.settings"}
    output(region.run(machine(state), {"name": "short-enough", "settings": "x" * 256}))
    failed = region.run(machine(state), {"name": "too-long", "settings": "x" * 334})
    assert failed["error"] == "SageMaker.AmazonSageMakerException"
    assert "at 'environment' failed to satisfy constraint: Map value must satisfy constraint: " in failed["cause"]
    assert "Member must have length less than or equal to 256" in failed["cause"]
    assert "Error Code: ValidationException" in failed["cause"]
    assert job_status(region, "too-long") == ""


def test_the_error_of_an_aws_sdk_integration_is_that_of_its_service(region: Region) -> None:
    failed = region.run(machine(task("aws-sdk:sagemaker:describeEndpoint", {"EndpointName": "a_b"})))
    assert failed["error"] == "SageMaker.SageMakerException"
    assert "at 'endpointName' failed to satisfy constraint: Member must satisfy regular" in failed["cause"]


CHANGES = {
    "unknown": (
        lambda parameters: parameters["ProcessingResources"].update(Count=1),
        'The field "Count" is not supported by Step Functions',
    ),
    "lower case": (
        lambda parameters: parameters["AppSpecification"].update(imageUri="x"),
        'The field "imageUri" is not supported by Step Functions',
    ),
    "missing": (
        lambda parameters: parameters.pop("RoleArn"),
        "The field 'RoleArn' is required but was missing",
    ),
    "missing inside": (
        lambda parameters: parameters["ProcessingResources"]["ClusterConfig"].pop("VolumeSizeInGB"),
        "The field 'VolumeSizeInGB' is required but was missing",
    ),
    "number for text": (
        lambda parameters: parameters.update(Environment={"COUNT": 1}),
        "The value for the field 'COUNT' must be a STRING",
    ),
    "text for number": (
        lambda parameters: parameters["ProcessingResources"]["ClusterConfig"].update(InstanceCount="1"),
        "The value for the field 'InstanceCount' must be an INTEGER",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_parameters_that_the_integration_cannot_use_end_the_execution(region: Region, change: str) -> None:
    alter, message = CHANGES[change]
    state = copy.deepcopy(processing("pass", Retry=[{"ErrorEquals": ["States.ALL"]}], Catch=CATCH))
    alter(state["Parameters"])
    failed = region.run(machine(state, Caught=CAUGHT))
    assert (failed["status"], failed["error"]) == ("FAILED", "States.Runtime")
    assert failed["cause"].startswith("An error occurred while executing the state 'First'")
    assert "could not be used to start the Task: [" in failed["cause"]
    assert message in failed["cause"]


@pytest.mark.parametrize(
    ("resource", "parameters", "field"),
    [
        ("sagemaker:createProcessingJob.sync", {"ProcessingJobName": "x", "Colour": "red"}, "Colour"),
        (
            "sagemaker:updateEndpoint",
            {"EndpointName": "e", "EndpointConfigName": "c", "DeploymentConfig": {}},
            "DeploymentConfig",
        ),
        ("lambda:invoke", {"FunctionName": "ask", "payload": {}}, "payload"),
        ("sns:publish", {"TopicArn": "t", "Message": "m", "Subjekt": "s"}, "Subjekt"),
    ],
)
def test_a_definition_with_a_parameter_that_the_integration_lacks_is_refused(
    region: Region, resource: str, parameters: Any, field: str
) -> None:
    client = region.client("stepfunctions")
    with pytest.raises(client.exceptions.InvalidDefinition, match=f'The field "{field}" is not supported'):
        client.create_state_machine(
            name=f"lacks-{field}", definition=json.dumps(machine(task(resource, parameters))), roleArn=ROLE
        )


def test_an_aws_sdk_integration_has_its_parameters_in_pascal_case(region: Region) -> None:
    first = region.start(machine({"Type": "Pass"}))
    region.finished(first)
    described = output(region.run(machine(task("aws-sdk:sfn:describeExecution", {"ExecutionArn": first}))))
    assert "SUCCEEDED" in described.values()
    failed = region.run(machine(task("aws-sdk:sfn:describeExecution", {"executionArn": first})))
    assert failed["error"] == "States.Runtime"
    assert 'The field "executionArn" is not supported by Step Functions' in failed["cause"]
    assert "The field 'ExecutionArn' is required but was missing" in failed["cause"]


def test_objects_become_texts_where_step_functions_converts_them(region: Region) -> None:
    queue = region.client("sqs").create_queue(QueueName="objects")["QueueUrl"]
    output(region.run(machine(task("sqs:sendMessage", {"QueueUrl": queue, "MessageBody": {"a": 1}}))))
    received = region.client("sqs").receive_message(QueueUrl=queue)["Messages"]
    assert json.loads(received[0]["Body"]) == {"a": 1}
    other = region.client("stepfunctions").create_state_machine(
        name="converted", definition=json.dumps(machine({"Type": "Pass"})), roleArn=ROLE
    )["stateMachineArn"]
    for resource in ("states:startExecution", "aws-sdk:sfn:startExecution"):
        state = task(resource, {"StateMachineArn": other, "Input": {"a": 1}})
        started = output(region.run(machine(state)))
        arn = started.get("ExecutionArn") or started["executionArn"]
        assert output(region.finished(arn)) == {"a": 1}
