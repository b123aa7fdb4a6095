"""Requests against the models of the services: what AWS refuses, the region refuses with the same error."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.model import ServiceModel
from region import IMAGE, ROLE, Region

from localaws.api_model.constraints import compiled_pattern, summary, violations

CLUSTER = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
JOB = {
    "ProcessingJobName": "job",
    "RoleArn": ROLE,
    "AppSpecification": {"ImageUri": IMAGE},
    "ProcessingResources": {"ClusterConfig": CLUSTER},
}


def refusal(region: Region, service: str, operation: str, parameters: dict[str, Any]) -> dict[str, str]:
    """Return the error of a request that the client lets pass."""
    client: Any = boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=region.url,
        region_name="eu-central-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False, s3={"addressing_style": "path"}),
    )
    with pytest.raises(ClientError) as raised:
        getattr(client, operation)(**parameters)
    error: dict[str, str] = raised.value.response["Error"]  # type: ignore[assignment]
    return error


def case(call: str, code: str, found: str, constraint: str = "", **parameters: Any) -> Any:
    """Return a request, the code of its error, and the two ends of the sentence in its message."""
    service, _, operation = call.partition(".")
    return pytest.param(service, operation, parameters, code, found, constraint, id=f"{call} {found}"[:60])


PATTERN = "Member must satisfy regular expression pattern: "
LENGTH = "Member must have length"


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "code", "found", "constraint"),
    [
        # json
        case(
            *(
                "sagemaker.create_processing_job",
                "ValidationException",
                f"Value '{{LONG={'x' * 257}}}' at 'environment'",
            ),
            "Map value must satisfy constraint: [Member must have length less than or equal to 256, Member must have "
            "length greater than or equal to 0, Member must satisfy regular expression pattern: [\\S\\s]*]",
            **JOB | {"Environment": {"LONG": "x" * 257}},
        ),
        case(
            *("sagemaker.create_processing_job", "ValidationException", "Value 'a b' at 'processingJobName'", PATTERN),
            **JOB | {"ProcessingJobName": "a b"},
        ),
        case(
            *(
                "sagemaker.create_processing_job",
                "ValidationException",
                "Value null at 'roleArn'",
                "Member must not be null",
            ),
            **{name: value for name, value in JOB.items() if name != "RoleArn"},
        ),
        case(
            *("sagemaker.create_processing_job", "ValidationException"),
            "Value '0' at 'processingResources.clusterConfig.instanceCount'",
            "Member must have value greater than or equal to 1",
            **JOB | {"ProcessingResources": {"ClusterConfig": {**CLUSTER, "InstanceCount": 0}}},
        ),
        case(
            *("sagemaker.create_processing_job", "ValidationException", "Value null at 'tags.1.member.value'"),
            **JOB | {"Tags": [{"Key": "k"}]},
        ),
        case(
            *("sagemaker.list_training_jobs", "ValidationException", "Value 'Up' at 'sortOrder'"),
            "Member must satisfy enum value set: [Ascending, Descending]",
            SortOrder="Up",
        ),
        case(
            *("stepfunctions.describe_state_machine", "ValidationException", "Value '' at 'stateMachineArn'", LENGTH),
            stateMachineArn="",
        ),
        case(
            *("athena.get_work_group", "InvalidRequestException", "Value 'a b' at 'workGroup'", PATTERN),
            WorkGroup="a b",
        ),
        case(*("glue.get_database", "ValidationException", "Value 'two\nlines' at 'name'", PATTERN), Name="two\nlines"),
        case(
            *("logs.create_log_group", "InvalidParameterException", "Value 'a b' at 'logGroupName'", PATTERN),
            logGroupName="a b",
        ),
        case(
            *("ecr.list_images", "InvalidParameterException", "Value 'UPPER' at 'repositoryName'", PATTERN),
            repositoryName="UPPER",
        ),
        case("codebuild.batch_get_builds", "InvalidInputException", "Value '[]' at 'ids'", LENGTH, ids=[]),
        case("dynamodb.describe_table", "ValidationException", "Value '' at 'tableName'", LENGTH, TableName=""),
        case("kms.describe_key", "ValidationException", f"Value '{'k' * 2049}' at 'keyId'", LENGTH, KeyId="k" * 2049),
        case("events.describe_rule", "ValidationException", "Value 'a b' at 'name'", PATTERN, Name="a b"),
        case("cloudwatch.put_metric_data", "ValidationError", "Value ':a' at 'namespace'", PATTERN, Namespace=":a"),
        # query
        case(
            *("cloudformation.create_change_set", "ValidationError", "Value 'a_b' at 'stackName'", PATTERN),
            StackName="a_b",
            ChangeSetName="c",
        ),
        case("iam.get_role", "ValidationError", f"Value '{'r' * 65}' at 'roleName'", LENGTH, RoleName="r" * 65),
        # rest-json
        case(
            "lambda.get_function", "ValidationException", "Value 'a b' at 'functionName'", PATTERN, FunctionName="a b"
        ),
        case(
            *("scheduler.create_schedule", "ValidationException", "Value 'MAYBE' at 'flexibleTimeWindow.mode'"),
            Name="s",
            ScheduleExpression="rate(1 day)",
            FlexibleTimeWindow={"Mode": "MAYBE"},
            Target={"Arn": "arn:aws:sqs:eu-central-1:123456789012:queue", "RoleArn": ROLE},
        ),
        # rest-xml
        case(
            *("s3.put_object", "InvalidArgument", "Value 'COLD' at 'storageClass'"),
            Bucket="test-bucket",
            Key="k",
            StorageClass="COLD",
        ),
        case(
            *("s3.put_bucket_versioning", "MalformedXML", "Value 'On' at 'versioningConfiguration.status'"),
            Bucket="test-bucket",
            VersioningConfiguration={"Status": "On"},
        ),
    ],
)
def test_a_request_that_violates_the_model_is_refused_as_by_the_service(
    region: Region, service: str, operation: str, parameters: dict[str, Any], code: str, found: str, constraint: str
) -> None:
    error = refusal(region, service, operation, parameters)
    assert error["Code"] == code
    assert f"1 validation error detected: {found} failed to satisfy constraint: {constraint}" in error["Message"]


def test_all_violations_are_in_one_message(region: Region) -> None:
    error = refusal(region, "sagemaker", "describe_endpoint", {"EndpointName": "_" * 64})
    found = f"Value '{'_' * 64}' at 'endpointName' failed to satisfy constraint: "
    assert error["Message"] == (
        f"2 validation errors detected: {found}Member must have length less than or equal to 63; "
        f"{found}{PATTERN}[a-zA-Z0-9](-*[a-zA-Z0-9]){{0,62}}"
    )


def post(region: Region, document: Any) -> tuple[int, Any]:
    """Call CreateProcessingJob with a body that no SDK sends."""
    answer = urllib3.request(
        "POST",
        region.url,
        body=document if isinstance(document, bytes) else json.dumps(document).encode(),
        headers={
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": "SageMaker.CreateProcessingJob",
            "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/eu-central-1/sagemaker/aws4_request",
        },
    )
    return answer.status, answer.json()


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({**JOB, "Environment": {"A": 1}}, "SerializationException", "NUMBER_VALUE can not be converted to String"),
        ({**JOB, "RoleArn": True}, "SerializationException", "TRUE_VALUE can not be converted to String"),
        ({**JOB, "RoleArn": {}}, "SerializationException", "Start of structure or map found where not expected."),
        ({**JOB, "RoleArn": []}, "SerializationException", "Start of list found where not expected"),
        ({**JOB, "Tags": "x"}, "SerializationException", "Expected list or null"),
        ({**JOB, "AppSpecification": "x"}, "SerializationException", "Expected map or null"),
        (
            {**JOB, "ProcessingResources": {"ClusterConfig": {**CLUSTER, "InstanceCount": "1"}}},
            "SerializationException",
            "STRING_VALUE can not be converted to Integer",
        ),
        ({**JOB, "Colour": "red"}, "ValidationException", 'Unknown parameter in input: "Colour", must be one of: '),
        ({**JOB, "Tags": [{"Key": "a", "Valu": "b"}]}, "ValidationException", 'Unknown parameter in input: "Valu"'),
        (b"{", "SerializationException", "not JSON"),
    ],
    ids=str,
)
def test_a_body_of_wrong_types_or_members_is_refused(region: Region, body: Any, code: str, message: str) -> None:
    status, answer = post(region, body)
    assert (status, answer["__type"]) == (400, code)
    assert message in answer["Message"]


def test_a_refused_request_has_no_effect_and_meets_no_fault(region: Region) -> None:
    region.order(service="sagemaker", operation="CreateProcessingJob", error="ResourceLimitExceeded")
    refused = refusal(region, "sagemaker", "create_processing_job", {**JOB, "Environment": {"LONG": "x" * 257}})
    assert refused["Code"] == "ValidationException"
    assert refusal(region, "sagemaker", "create_processing_job", JOB)["Code"] == "ResourceLimitExceeded"
    jobs = region.client("sagemaker").list_processing_jobs(NameContains="job")["ProcessingJobSummaries"]
    assert "job" not in [job["ProcessingJobName"] for job in jobs]


# -- the constraints themselves


SHAPES = {
    "Request": {
        "type": "structure",
        "required": ["Name"],
        "members": {
            "Name": {"shape": "Name"},
            "Secret": {"shape": "Secret"},
            "Count": {"shape": "Count"},
            "Names": {"shape": "Names"},
            "ByName": {"shape": "ByName"},
            "Data": {"shape": "Data"},
        },
    },
    "Name": {"type": "string", "min": 1, "max": 3, "pattern": r"\w*"},
    "Secret": {"type": "string", "max": 1, "sensitive": True},
    "Count": {"type": "integer", "min": 1, "max": 2},
    "Names": {"type": "list", "member": {"shape": "Name"}, "max": 1},
    "ByName": {"type": "map", "key": {"shape": "Name"}, "value": {"shape": "Request"}},
    "Data": {"type": "blob", "max": 2},
}
REQUEST: Any = ServiceModel({"metadata": {}, "shapes": SHAPES}).shape_for("Request")
OF_NAME = (
    "[Member must have length less than or equal to 3, Member must have length greater than or equal to 1, "
    r"Member must satisfy regular expression pattern: \w*]"
)


@pytest.mark.parametrize(
    ("members", "found"),
    [
        ({"Name": "abc", "Secret": "1", "Count": 2, "Names": ["a"], "ByName": {"k": {"Name": "v"}}, "Data": b"12"}, []),
        ({"Name": "a", "Secret": None}, []),
        ({"Name": None}, ["Value null at 'name': Member must not be null"]),
        ({"Name": "abcd"}, ["Value 'abcd' at 'name': Member must have length less than or equal to 3"]),
        # Java counts a smile as two characters.
        (
            {"Name": "a", "Data": None, "Secret": "😀"},
            ["Value at 'secret': Member must have length less than or equal to 1"],
        ),
        ({"Name": "é"}, [r"Value 'é' at 'name': Member must satisfy regular expression pattern: \w*"]),
        ({"Name": "a\n"}, ["Value 'a\n' at 'name': Member must satisfy regular expression pattern: \\w*"]),
        ({"Name": "a", "Secret": "12"}, ["Value at 'secret': Member must have length less than or equal to 1"]),
        ({"Name": "a", "Count": 0}, ["Value '0' at 'count': Member must have value greater than or equal to 1"]),
        ({"Name": "a", "Count": 3}, ["Value '3' at 'count': Member must have value less than or equal to 2"]),
        (
            {"Name": "a", "Names": ["a", "b"]},
            ["Value '[a, b]' at 'names': Member must have length less than or equal to 1"],
        ),
        ({"Name": "a", "Names": ["-"]}, [f"Value '[-]' at 'names': Member must satisfy constraint: {OF_NAME}"]),
        ({"Name": "a", "ByName": {"-": {"Name": "v"}}}, None),
        ({"Name": "a", "ByName": {"k": {}}}, ["Value null at 'byName.k.member.name': Member must not be null"]),
        ({"Name": "a", "Data": b"123"}, None),
    ],
    ids=str,
)
def test_violations(members: dict[str, Any], found: list[str] | None) -> None:
    seen = [text.replace(" failed to satisfy constraint:", ":", 1) for text in violations(members, REQUEST)]
    if found is None:
        assert len(seen) == 1
        assert "Map keys must satisfy constraint: " in seen[0] or "length less than or equal to 2" in seen[0]
    else:
        assert seen == found


def test_one_violation_is_an_error_and_two_are_errors() -> None:
    assert (summary(["a"]), summary(["a", "b"])) == (
        "1 validation error detected: a",
        "2 validation errors detected: a; b",
    )


SERVICES = (
    *(
        "athena",
        "cloudformation",
        "cloudwatch",
        "codebuild",
        "dynamodb",
        "ecr",
        "events",
        "glue",
        "iam",
        "kms",
        "lambda",
    ),
    *(
        "logs",
        "s3",
        "sagemaker",
        "sagemaker-runtime",
        "scheduler",
        "service-quotas",
        "sns",
        "sqs",
        "stepfunctions",
        "sts",
    ),
)


@pytest.mark.parametrize("service", SERVICES)
def test_every_pattern_of_a_service_can_be_read(service: str) -> None:
    shapes = Loader().load_service_model(service, "service-2")["shapes"]
    patterns = {name: shape["pattern"] for name, shape in shapes.items() if "pattern" in shape}
    assert [name for name, pattern in patterns.items() if compiled_pattern(pattern) is None] == []


@pytest.mark.parametrize(
    ("pattern", "value", "fits"),
    [
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*", "smile 😀", True),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*", "two\nlines", False),
        (r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)", "Größe 1", True),
        (r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)", "a!", False),
        (r"\A\S[\p{Print}]*\z", "printable", True),
        (r"[\w-_]*", "a-_", True),
        (r".*", "two\nlines", False),  # seen at CreateTrainingJob's hyperparameters
        (r"^a$", "a\n", False),
    ],
)
def test_patterns_are_those_of_java_and_match_the_whole_value(pattern: str, value: str, *, fits: bool) -> None:
    assert bool(compiled_pattern(pattern).fullmatch(value)) is fits
