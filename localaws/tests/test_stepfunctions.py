"""Step Functions through its API: what localaws corrects in moto's interpreter, and the API itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from region import ROLE, Region, wait_for
from state_machines import ask, create_ask, machine, output, processing, wait_for_job


@pytest.fixture(scope="module", autouse=True)
def _function(shared_region: Region) -> None:
    create_ask(shared_region)


# -- the context object and intrinsic functions


def test_the_context_object_is_complete_and_plain_json(region: Region) -> None:
    fields = ["Execution.Name", "Execution.Id", "Execution.StartTime", "Execution.RedriveCount", "State.Name"]
    state = {"Type": "Pass", "Parameters": {f"{name}.$": f"$$.{name}" for name in fields}}
    execution = region.start(machine(state))
    result = output(region.finished(execution))
    assert result["Execution.Id"] == execution
    assert result["Execution.Name"] == execution.rpartition(":")[2]
    assert result["Execution.StartTime"].endswith("Z")
    assert result["Execution.RedriveCount"] == 0
    assert result["State.Name"] == "First"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("States.Format('{}-{}', $.name, 1)", "a-1"),
        ("States.ArrayGetItem(States.StringSplit('x-y', '-'), 1)", "y"),
        ("States.MathAdd($.number, -1)", 2),
        ("States.StringToJson('{\"a\": [1]}')", {"a": [1]}),
        ("States.JsonToString($.object)", '{"b":true}'),
        ("States.JsonMerge($.object, States.StringToJson('{\"b\":1}'), false)", {"b": 1}),
        ("States.ArrayRange(1, 5, 2)", [1, 3, 5]),
        ("States.Array($.number, 'x')", [3, "x"]),
        (r"States.Format('{}\'s turn isn\'t over', $.name)", "a's turn isn't over"),
        ("States.ArrayLength($.list)", 2),
        ("States.ArrayContains($.list, 'q')", True),
    ],
    ids=lambda value: str(value)[:30],
)
def test_intrinsic_functions(region: Region, expression: str, expected: Any) -> None:
    document = {"name": "a", "number": 3, "object": {"b": True}, "list": ["p", "q"]}
    assert output(region.run(machine({"Type": "Pass", "Parameters": {"r.$": expression}}), document))["r"] == expected


def test_each_call_of_uuid_differs(region: Region) -> None:
    state = {"Type": "Pass", "Parameters": {"a.$": "States.UUID()", "b.$": "States.UUID()"}}
    result = output(region.run(machine(state)))
    assert result["a"] != result["b"]


def test_fail_takes_error_and_cause_from_paths_and_functions(region: Region) -> None:
    state = {"Type": "Fail", "ErrorPath": "$.e", "CausePath": "States.Format('{} went wrong', $.what)"}
    failed = region.run(machine(state), {"e": "Custom", "what": "it"})
    assert (failed["status"], failed["error"], failed["cause"]) == ("FAILED", "Custom", "it went wrong")


@pytest.mark.parametrize("field", ["Error", "Cause"])
def test_error_and_cause_of_a_fail_state_must_be_texts(region: Region, field: str) -> None:
    failed = region.run(machine({"Type": "Fail", f"{field}Path": "$.code"}), {"code": 3})
    assert failed["error"] == "States.Runtime"
    assert f"The {field}Path '$.code' must refer to a string value" in failed["cause"]


@pytest.mark.parametrize(
    "comparison",
    [
        {"Variable": "$.absent", "StringEquals": "x"},
        {"Variable": "$.absent", "IsNull": True},
        {"Not": {"Variable": "$.absent", "NumericGreaterThan": 1}},
        {"And": [{"Variable": "$.here", "IsPresent": True}, {"Variable": "$.absent", "BooleanEquals": True}]},
    ],
    ids=lambda comparison: list(comparison)[-1],
)
def test_a_choice_cannot_compare_a_variable_that_does_not_exist(region: Region, comparison: Any) -> None:
    state = {"Type": "Choice", "Choices": [{**comparison, "Next": "Done"}], "Default": "Done"}
    failed = region.run(machine(state, Done={"Type": "Succeed"}), {"here": 1})
    assert failed["error"] == "States.Runtime"
    assert "Invalid path '$.absent': The choice state's condition path references an invalid value." in failed["cause"]


@pytest.mark.parametrize(
    "comparison",
    [
        {"Variable": "$.absent", "IsPresent": False},
        {"Not": {"And": [{"Variable": "$.absent", "IsPresent": True}, {"Variable": "$.absent", "StringEquals": "x"}]}},
        {"Or": [{"Variable": "$.here", "NumericEquals": 1}, {"Variable": "$.absent", "StringEquals": "x"}]},
    ],
    ids=lambda comparison: list(comparison)[-1],
)
def test_a_choice_can_ask_whether_a_variable_exists(region: Region, comparison: Any) -> None:
    state = {"Type": "Choice", "Choices": [{**comparison, "Next": "Right"}], "Default": "Wrong"}
    ends = {name: {"Type": "Pass", "Result": name, "End": True} for name in ("Right", "Wrong")}
    assert output(region.run(machine(state, **ends), {"here": 1})) == "Right"


# -- errors, retry, catch


def test_an_exception_of_a_handler_can_be_caught_by_its_name(region: Region) -> None:
    state = ask({"raise": "no"}, Catch=[{"ErrorEquals": ["Flaky"], "ResultPath": "$.error", "Next": "Caught"}])
    result = output(region.run(machine(state, Caught={"Type": "Pass", "End": True})))
    assert result["error"]["Error"] == "Flaky"
    assert json.loads(result["error"]["Cause"])["errorMessage"] == "no"


def test_retry_counts_and_its_delays_are_scaled(region: Region) -> None:
    retry = {
        "ErrorEquals": ["Flaky"],
        "IntervalSeconds": 60,
        "MaxAttempts": 2,
        "BackoffRate": 2,
        "MaxDelaySeconds": 70,
        "JitterStrategy": "FULL",
    }
    state = ask({"raise.$": "States.Format('try {}', $$.State.RetryCount)"}, Retry=[retry])
    failed = region.run(machine(state))
    assert failed["error"] == "Flaky"
    assert json.loads(failed["cause"])["errorMessage"] == "try 2"


def test_an_aws_sdk_error_without_a_model_has_the_generic_name(region: Region) -> None:
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:sagemaker:describeEndpoint",
        "Parameters": {"EndpointName": "nobody"},
    }
    failed = region.run(machine(state))
    assert failed["error"] == "SageMaker.SageMakerException"
    assert "Could not find endpoint" in failed["cause"]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("ResourceLimitExceeded", "SageMaker.ResourceLimitExceededException"),
        ("ResourceInUse", "SageMaker.ResourceInUseException"),
        ("ThrottlingException", "SageMaker.SageMakerException"),
    ],
)
def test_aws_sdk_errors_of_sagemaker(region: Region, code: str, error: str) -> None:
    region.order(service="sagemaker", operation="UpdateEndpoint", error=code, message="not now")
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:sagemaker:updateEndpoint",
        "Parameters": {"EndpointName": "any", "EndpointConfigName": "any"},
    }
    failed = region.run(machine(state))
    assert failed["error"] == error
    assert "not now" in failed["cause"]


@pytest.mark.parametrize(
    ("action", "parameters", "error"),
    [
        ("headObject", {"Bucket": "test-bucket", "Key": "nothing"}, "S3.NoSuchKeyException"),
        ("getObject", {"Bucket": "test-bucket", "Key": "nothing"}, "S3.NoSuchKeyException"),
        ("getObject", {"Bucket": "nowhere", "Key": "nothing"}, "S3.NoSuchBucketException"),
    ],
)
def test_aws_sdk_errors_of_s3(region: Region, action: str, parameters: Any, error: str) -> None:
    state = {"Type": "Task", "Resource": f"arn:aws:states:::aws-sdk:s3:{action}", "Parameters": parameters}
    assert region.run(machine(state))["error"] == error


def test_the_result_of_an_aws_sdk_call_is_plain_json(region: Region) -> None:
    region.put("text", '{"n": 1}')
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:s3:getObject",
        "Parameters": {"Bucket": region.bucket, "Key": "text"},
        "ResultSelector": {"body.$": "States.StringToJson($.Body)", "time.$": "$.LastModified"},
    }
    result = output(region.run(machine(state)))
    assert result["body"] == {"n": 1}
    assert result["time"].endswith("Z")


def test_an_execution_starts_another(region: Region) -> None:
    first = region.start(machine({"Type": "Pass"}))
    other = region.client("stepfunctions").describe_execution(executionArn=first)["stateMachineArn"]
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution",
        "Parameters": {"StateMachineArn": other, "Name": "the-other", "Input": {"a.$": "$.a"}},
    }
    answer = output(region.run(machine(state), {"a": 1}))
    assert answer["ExecutionArn"].endswith(":the-other")
    assert isinstance(answer["StartDate"], int)
    assert output(region.finished(answer["ExecutionArn"])) == {"a": 1}


@pytest.mark.parametrize("kind", ["Map", "Parallel"])
def test_a_states_error_leaves_a_map_or_parallel_under_its_own_name(region: Region, kind: str) -> None:
    inner = {"StartAt": "Inner", "States": {"Inner": processing("raise SystemExit(3)") | {"End": True}}}
    caught = {"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.error", "Next": "Caught"}
    state: dict[str, Any] = {"Type": kind, "Catch": [caught]}
    state |= {"ItemsPath": "$.items", "ItemProcessor": inner} if kind == "Map" else {"Branches": [inner]}
    result = output(region.run(machine(state, Caught={"Type": "Pass", "End": True}), {"items": [1]}))
    assert result["error"]["Error"] == "States.TaskFailed"


# -- waiting and stopping


def test_wait_is_scaled_and_abort_ends_it_with_its_reason(region: Region) -> None:
    output(region.run(machine({"Type": "Wait", "Seconds": 30})))
    execution = region.start(machine({"Type": "Wait", "Seconds": 10**7}))
    region.client("stepfunctions").stop_execution(executionArn=execution, error="Operator", cause="enough")
    stopped = region.finished(execution)
    assert (stopped["status"], stopped["error"], stopped["cause"]) == ("ABORTED", "Operator", "enough")
    assert stopped["stopDate"] >= stopped["startDate"]


def test_an_execution_has_a_history_and_can_be_stopped_as_soon_as_it_has_started(region: Region) -> None:
    client = region.client("stepfunctions")
    # An interpreter takes its time to parse so many states.
    states = {f"State {number}": {"Type": "Wait", "Seconds": 10**6, "End": True} for number in range(200)}
    definition = json.dumps({"StartAt": "State 0", "States": states})
    arn = client.create_state_machine(name="large", definition=definition, roleArn=ROLE)["stateMachineArn"]
    execution = client.start_execution(stateMachineArn=arn)["executionArn"]
    assert region.history(execution)[0]["type"] == "ExecutionStarted"
    client.stop_execution(executionArn=execution)
    assert region.finished(execution)["status"] == "ABORTED"


def test_a_task_that_takes_too_long_is_a_timeout(region: Region) -> None:
    catch = [{"ErrorEquals": ["States.Timeout"], "ResultPath": "$.error", "Next": "Caught"}]
    state = ask({"sleep": 15}, TimeoutSeconds=1, Catch=catch)
    assert (
        output(region.run(machine(state, Caught={"Type": "Pass", "End": True})))["error"]["Error"] == "States.Timeout"
    )


def test_a_machine_that_takes_too_long_is_timed_out(region: Region) -> None:
    execution = region.start({**machine(processing("import time; time.sleep(60)")), "TimeoutSeconds": 3}, name="slow")
    ended = region.finished(execution)
    assert ended["status"] == "TIMED_OUT"
    assert "stopDate" in ended
    wait_for_job(region, "job-slow", "Stopped")


# -- the API


@pytest.mark.parametrize("resource", ["sagemaker:createModel.sync", "sagemaker:deleteEverything", "athena:dropAll"])
def test_an_integration_that_aws_does_not_have_is_refused_at_creation(region: Region, resource: str) -> None:
    definition = machine({"Type": "Task", "Resource": f"arn:aws:states:::{resource}", "Parameters": {}})
    client = region.client("stepfunctions")
    with pytest.raises(client.exceptions.InvalidDefinition, match="not recognized"):
        client.create_state_machine(name="bad", definition=json.dumps(definition), roleArn=ROLE)


@pytest.mark.parametrize(
    ("level", "logged"), [("ALL", ["ExecutionStarted", "ExecutionFailed"]), ("FATAL", ["ExecutionFailed"])]
)
def test_executions_are_logged_as_their_machine_orders(region: Region, level: str, logged: list[str]) -> None:
    group = f"/executions/{level}"
    region.client("logs").create_log_group(logGroupName=group)
    destination = {"logGroupArn": f"arn:aws:logs:eu-central-1:123456789012:log-group:{group}:*"}
    machine_arn = region.client("stepfunctions").create_state_machine(
        name=f"logged-{level}",
        definition=json.dumps(machine({"Type": "Fail", "Error": "Custom"})),
        roleArn=ROLE,
        loggingConfiguration={
            "level": level,
            "includeExecutionData": True,
            "destinations": [{"cloudWatchLogsLogGroup": destination}],
        },
    )["stateMachineArn"]
    execution = region.client("stepfunctions").start_execution(stateMachineArn=machine_arn)["executionArn"]
    region.finished(execution)

    def types_logged() -> list[str]:
        events = region.client("logs").filter_log_events(logGroupName=group)["events"]
        return [json.loads(event["message"])["type"] for event in events]

    types = wait_for(types_logged, lambda types: "ExecutionFailed" in types)
    assert [types[0], types[-1]][-len(logged) :] == logged


def test_the_history_comes_in_pages_and_in_reverse(region: Region) -> None:
    execution = region.start(machine({"Type": "Pass"}))
    region.finished(execution)
    client = region.client("stepfunctions")
    paginator = client.get_paginator("get_execution_history")
    forth = [event["id"] for event in region.history(execution)]
    pages = list(paginator.paginate(executionArn=execution, maxResults=2, reverseOrder=True))
    assert all(len(page["events"]) <= 2 for page in pages)
    assert [event["id"] for page in pages for event in page["events"]] == forth[::-1]


def test_versions_and_aliases_run_the_definition_they_were_published_with(region: Region) -> None:
    client = region.client("stepfunctions")

    def definition(result: str) -> str:
        return json.dumps(machine({"Type": "Pass", "Result": result}))

    created = client.create_state_machine(name="published", definition=definition("v1"), roleArn=ROLE, publish=True)
    alias = client.create_state_machine_alias(
        name="live",
        routingConfiguration=[{"stateMachineVersionArn": created["stateMachineVersionArn"], "weight": 100}],
    )["stateMachineAliasArn"]
    client.update_state_machine(stateMachineArn=created["stateMachineArn"], definition=definition("v2"))
    results = []
    for arn in (created["stateMachineArn"], created["stateMachineVersionArn"], alias):
        execution = client.start_execution(stateMachineArn=arn)["executionArn"]
        results.append(output(region.finished(execution)))
    assert results == ["v2", "v1", "v1"]


def test_a_name_cannot_be_taken_twice_for_different_definitions(region: Region) -> None:
    client = region.client("stepfunctions")
    for result, error in (("a", None), ("a", None), ("b", "StateMachineAlreadyExists")):
        options = {
            "name": "one",
            "definition": json.dumps(machine({"Type": "Pass", "Result": result})),
            "roleArn": ROLE,
        }
        if error is None:
            client.create_state_machine(**options)
        else:
            with pytest.raises(client.exceptions.ClientError, match=error):
                client.create_state_machine(**options)
