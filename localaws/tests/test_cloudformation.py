"""CloudFormation through its API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from region import ROLE, Region
from stacks import PASS, deploy, function, outputs, reasons, stack_name


@pytest.fixture
def name(region: Region, request: pytest.FixtureRequest) -> Iterator[str]:
    with stack_name(region, request.node.name) as stack:
        yield stack


def test_what_depends_on_something_is_created_after_it(region: Region, name: str) -> None:
    resources = {
        "Last": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Fn::Sub": "${Middle}"}}},
        "Middle": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Ref": "First"}}},
        "First": {"Type": "AWS::SNS::Topic", "DependsOn": "Zeroth"},
        "Zeroth": {"Type": "AWS::SQS::Queue"},
    }
    assert deploy(region, name, resources)["StackStatus"] == "CREATE_COMPLETE", reasons(region, name)
    events = region.client("cloudformation").describe_stack_events(StackName=name)["StackEvents"][::-1]
    complete = [e["LogicalResourceId"] for e in events if e["ResourceStatus"] == "CREATE_COMPLETE"]
    assert complete == ["Zeroth", "First", "Middle", "Last", name]


def test_conditions_parameters_and_functions_are_resolved(region: Region, name: str) -> None:
    template = {
        "Parameters": {
            "Mode": {"Type": "String", "AllowedValues": ["a", "b"]},
            "Size": {"Type": "Number", "Default": 3},
        },
        "Conditions": {"IsA": {"Fn::Equals": [{"Ref": "Mode"}, "a"]}, "IsB": {"Fn::Not": [{"Condition": "IsA"}]}},
        "Outputs": {
            "Text": {
                "Value": {"Fn::Sub": ["${Mode}-${Size}-${X}-${AWS::Region}", {"X": {"Fn::Join": ["+", ["p", "q"]]}}]}
            },
            "If": {"Value": {"Fn::If": ["IsA", "yes", {"Ref": "AWS::NoValue"}]}},
            "OnlyB": {"Condition": "IsB", "Value": "b"},
        },
    }
    resources = {
        "Topic": {"Type": "AWS::SNS::Topic"},
        "Optional": {"Type": "AWS::SNS::Topic", "Condition": "IsB"},
    }
    stack = deploy(region, name, resources, **template, values={"Mode": "a"})
    assert outputs(stack) == {"Text": "a-3-p+q-eu-central-1", "If": "yes"}
    listed = region.client("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
    assert [resource["LogicalResourceId"] for resource in listed] == ["Topic"]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        pytest.param({"Resources": {"X": {"Type": "AWS::Quantum::Leap"}}}, "AWS::Quantum::Leap", id="unknown type"),
        pytest.param({"Parameters": {}}, "At least one Resources member", id="no resources"),
        pytest.param(
            {
                "Resources": {
                    "A": {"Type": "AWS::SNS::Topic", "DependsOn": "B"},
                    "B": {"Type": "AWS::SNS::Topic", "DependsOn": "A"},
                }
            },
            "Circular dependency",
            id="circle",
        ),
        pytest.param(
            {"Parameters": {"P": {"Type": "String"}}, "Resources": {"A": {"Type": "AWS::SNS::Topic"}}},
            r"\[P\] must have values",
            id="missing parameter",
        ),
    ],
)
def test_a_template_that_cannot_be_deployed_is_refused(region: Region, template: Any, message: str) -> None:
    client = region.client("cloudformation")
    with pytest.raises(client.exceptions.ClientError, match=message):
        client.create_change_set(
            StackName="refused", ChangeSetName="c", ChangeSetType="CREATE", TemplateBody=json.dumps(template)
        )
    assert "refused" not in [stack["StackName"] for stack in client.list_stacks()["StackSummaries"]]


def test_a_failed_creation_is_rolled_back_and_leaves_nothing(region: Region, name: str) -> None:
    resources = {
        "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "rolled-back"}},
        "Table": {
            "Type": "AWS::Glue::Table",
            "DependsOn": "Topic",
            "Properties": {"DatabaseName": "none", "TableInput": {"Name": "t"}},
        },
    }
    assert deploy(region, name, resources)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "Database none not found" in reasons(region, name)["Table"]
    assert not [t for t in region.client("sns").list_topics()["Topics"] if t["TopicArn"].endswith("rolled-back")]


def test_a_change_set_without_changes_says_so(region: Region, name: str) -> None:
    resources = {"Topic": {"Type": "AWS::SNS::Topic"}}
    deploy(region, name, resources)
    client = region.client("cloudformation")
    client.create_change_set(
        StackName=name, ChangeSetName="same", ChangeSetType="UPDATE", TemplateBody=json.dumps({"Resources": resources})
    )
    described = client.describe_change_set(StackName=name, ChangeSetName="same")
    assert described["Status"] == "FAILED"
    assert "didn't contain changes" in described["StatusReason"]


def test_an_update_changes_code_and_definition_in_place_and_replaces_what_it_must(region: Region, name: str) -> None:
    def resources(word: str) -> dict[str, Any]:
        region.put(f"{word}.asl.json", json.dumps(PASS))
        location = {"Bucket": region.bucket, "Key": f"{word}.asl.json"}
        properties = {
            "RoleArn": ROLE,
            "DefinitionS3Location": location,
            "DefinitionSubstitutions": {"Word": word},
            "LoggingConfiguration": {"Level": "OFF", "IncludeExecutionData": False},
            "TracingConfiguration": {"Enabled": True},
            "Tags": [{"Key": "word", "Value": word}],
        }
        return {
            "Function": function(f"def handler(e, c): return '{word}'", MemorySize=256),
            "Version": {
                "Type": "AWS::Lambda::Version",
                "Properties": {"FunctionName": {"Ref": "Function"}, "Description": word},
            },
            "Alias": {
                "Type": "AWS::Lambda::Alias",
                "Properties": {
                    "Name": "live",
                    "FunctionName": {"Ref": "Function"},
                    "FunctionVersion": {"Fn::GetAtt": ["Version", "Version"]},
                },
            },
            "Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties},
        }

    section = {"Outputs": {key: {"Value": {"Ref": key}} for key in ("Function", "Version", "Alias", "Machine")}}
    first = outputs(deploy(region, name, resources("one"), **section))
    second = outputs(deploy(region, name, resources("two"), **section))
    assert first["Function"] == second["Function"]
    assert first["Machine"] == second["Machine"]
    assert first["Version"] != second["Version"]
    payload = region.client("lambda").invoke(FunctionName=second["Alias"])["Payload"].read()
    assert json.loads(payload) == "two"
    machine = region.client("stepfunctions").describe_state_machine(stateMachineArn=second["Machine"])
    assert json.loads(machine["definition"])["States"]["A"]["Result"] == "two"
    assert machine["tracingConfiguration"] == {"enabled": True}
    tags = region.client("stepfunctions").list_tags_for_resource(resourceArn=second["Machine"])["tags"]
    assert tags == [{"key": "word", "value": "two"}]


def test_the_types_that_moto_lacks_are_really_there_and_really_go(region: Region, name: str) -> None:
    schedule = {
        "ScheduleExpression": "rate(1 day)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {"Arn": "arn:aws:sns:eu-central-1:123456789012:any", "RoleArn": ROLE},
    }
    alarm = {
        "MetricName": "m",
        "Namespace": "n",
        "Statistic": "Sum",
        "Period": "60",
        "EvaluationPeriods": 1,
        "Threshold": "2.5",
        "ComparisonOperator": "GreaterThanThreshold",
    }
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": "*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    resources = {
        "Database": {
            "Type": "AWS::Glue::Database",
            "Properties": {"CatalogId": "1", "DatabaseInput": {"Name": "shop"}},
        },
        "Table": {
            "Type": "AWS::Glue::Table",
            "Properties": {
                "DatabaseName": {"Ref": "Database"},
                "TableInput": {"Name": "sales", "PartitionKeys": [{"Name": "dt"}]},
            },
        },
        "Group": {
            "Type": "AWS::Athena::WorkGroup",
            "Properties": {
                "Name": "shop",
                "WorkGroupConfiguration": {"ResultConfiguration": {"OutputLocation": f"s3://{region.bucket}/r/"}},
            },
        },
        "Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": alarm},
        "Schedule": {"Type": "AWS::Scheduler::Schedule", "Properties": {"Name": "daily", **schedule}},
        "Log": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/shop", "RetentionInDays": "7"}},
        "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "shop-bucket"}},
        "BucketPolicy": {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": {"Statement": [deny]}},
        },
    }

    def present() -> dict[str, bool]:
        glue, athena, logs = (region.client(service) for service in ("glue", "athena", "logs"))
        databases = [database["Name"] for database in glue.get_databases()["DatabaseList"]]
        tables = glue.get_tables(DatabaseName="shop")["TableList"] if "shop" in databases else []
        return {
            "Table": [table["Name"] for table in tables] == ["sales"],
            "Group": "shop" in [group["Name"] for group in athena.list_work_groups()["WorkGroups"]],
            "Alarm": [a["Threshold"] for a in region.client("cloudwatch").describe_alarms()["MetricAlarms"]] == [2.5],
            "Schedule": [s["Name"] for s in region.client("scheduler").list_schedules()["Schedules"]] == ["daily"],
            "Log": [g.get("retentionInDays") for g in logs.describe_log_groups(logGroupNamePrefix="/shop")["logGroups"]]
            == [7],
        }

    stack = deploy(region, name, resources)
    assert stack["StackStatus"] == "CREATE_COMPLETE", reasons(region, name)
    assert all(present().values()), present()
    # moto would refuse every request after this policy, since it ignores conditions.
    region.client("s3").put_object(Bucket="shop-bucket", Key="k", Body=b"")
    region.client("s3").delete_object(Bucket="shop-bucket", Key="k")
    region.client("cloudformation").delete_stack(StackName=name)
    assert not any(present().values()), present()


def test_sam_resources_are_expanded_and_their_template_is_returned_as_it_was(region: Region, name: str) -> None:
    text = """
Transform: AWS::Serverless-2016-10-31
Globals: {Function: {Runtime: python3.13, Timeout: 9}}
Resources:
  Function:
    Type: AWS::Serverless::Function
    Properties:
      Handler: index.handler
      InlineCode: "def handler(event, context): return event"
      AutoPublishAlias: live
      Policies: [!Sub "arn:${AWS::Partition}:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"]
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties:
      Definition: {StartAt: A, States: {A: {Type: Task, Resource: !GetAtt Function.Arn, End: true}}}
      Policies: [{LambdaInvokePolicy: {FunctionName: !Ref Function}}]
Outputs:
  Machine: {Value: !Ref Machine}
"""
    client = region.client("cloudformation")
    client.create_stack(StackName=name, TemplateBody=text)
    stack = client.describe_stacks(StackName=name)["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE", reasons(region, name)
    execution = region.client("stepfunctions").start_execution(
        stateMachineArn=outputs(stack)["Machine"], input='{"n": 1}'
    )["executionArn"]
    assert json.loads(region.finished(execution)["output"]) == {"n": 1}
    assert client.get_template(StackName=name)["TemplateBody"] == text


def test_what_is_to_be_retained_stays(region: Region, name: str) -> None:
    kept = {"Type": "AWS::SNS::Topic", "DeletionPolicy": "Retain", "Properties": {"TopicName": "kept"}}
    deploy(region, name, {"Kept": kept, "Gone": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "gone"}}})
    region.client("cloudformation").delete_stack(StackName=name)
    names = [topic["TopicArn"].rpartition(":")[2] for topic in region.client("sns").list_topics()["Topics"]]
    assert ("kept" in names, "gone" in names) == (True, False)


def test_a_bucket_with_objects_is_not_deleted(region: Region, name: str) -> None:
    stack = deploy(
        region, name, {"Bucket": {"Type": "AWS::S3::Bucket"}}, Outputs={"Name": {"Value": {"Ref": "Bucket"}}}
    )
    s3, held = region.client("s3"), outputs(stack)["Name"]
    s3.put_object(Bucket=held, Key="a", Body=b"a")
    region.client("cloudformation").delete_stack(StackName=name)
    assert "is not empty" in reasons(region, name)["Bucket"]
    assert s3.get_object(Bucket=held, Key="a")["Body"].read() == b"a"
    s3.delete_object(Bucket=held, Key="a")
    region.client("cloudformation").delete_stack(StackName=name)
    assert held not in [found["Name"] for found in s3.list_buckets()["Buckets"]]


def test_a_bucket_that_somebody_has_deleted_does_not_stop_the_deletion(region: Region, name: str) -> None:
    stack = deploy(
        region, name, {"Bucket": {"Type": "AWS::S3::Bucket"}}, Outputs={"Name": {"Value": {"Ref": "Bucket"}}}
    )
    region.client("s3").delete_bucket(Bucket=outputs(stack)["Name"])
    region.client("cloudformation").delete_stack(StackName=name)
    with pytest.raises(ClientError, match="does not exist"):
        region.client("cloudformation").describe_stacks(StackName=name)


def test_repositories_and_build_projects(region: Region, name: str) -> None:
    def resources(mutability: str, words: str) -> dict[str, Any]:
        rule = {
            "rulePriority": 1,
            "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 3},
            "action": {"type": "expire"},
        }
        repository = {
            "RepositoryName": "team/app",
            "ImageTagMutability": mutability,
            "ImageScanningConfiguration": {"ScanOnPush": "true"},
            "EncryptionConfiguration": {"EncryptionType": "KMS", "KmsKey": "alias/mine"},
            "LifecyclePolicy": {"LifecyclePolicyText": json.dumps({"rules": [rule]})},
            "EmptyOnDelete": "true",
        }
        project = {
            "ServiceRole": ROLE,
            "TimeoutInMinutes": "9",
            "Artifacts": {"Type": "NO_ARTIFACTS"},
            "Environment": {
                "Type": "LINUX_CONTAINER",
                "ComputeType": "BUILD_GENERAL1_SMALL",
                "Image": "any",
                "PrivilegedMode": "true",
                "EnvironmentVariables": [{"Name": "URI", "Value": {"Fn::GetAtt": ["Repository", "RepositoryUri"]}}],
            },
            "Source": {"Type": "NO_SOURCE", "BuildSpec": f"version: 0.2\nphases: {{build: {{commands: [{words}]}}}}\n"},
        }
        return {
            "Repository": {"Type": "AWS::ECR::Repository", "Properties": repository},
            "Project": {"Type": "AWS::CodeBuild::Project", "Properties": project},
        }

    section = {"Outputs": {"Project": {"Value": {"Ref": "Project"}}}}
    ecr, codebuild = region.client("ecr"), region.client("codebuild")
    for mutability, words in (("MUTABLE", "echo one"), ("IMMUTABLE", "echo two")):
        stack = deploy(region, name, resources(mutability, words), **section)
        assert stack["StackStatus"].endswith("_COMPLETE"), reasons(region, name)
        (repository,) = ecr.describe_repositories(repositoryNames=["team/app"])["repositories"]
        assert repository["imageTagMutability"] == mutability
        assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
        assert repository["encryptionConfiguration"] == {"encryptionType": "KMS", "kmsKey": "alias/mine"}
        assert "imageCountMoreThan" in ecr.get_lifecycle_policy(repositoryName="team/app")["lifecyclePolicyText"]
        (project,) = codebuild.batch_get_projects(names=[outputs(stack)["Project"]])["projects"]
        assert words in project["source"]["buildspec"]
        assert project["timeoutInMinutes"] == 9
        assert project["environment"]["privilegedMode"] is True
        assert project["environment"]["environmentVariables"] == [{"name": "URI", "value": repository["repositoryUri"]}]
    manifest = json.dumps({"schemaVersion": 2, "layers": [], "mediaType": "application/vnd.oci.image.manifest.v1+json"})
    ecr.put_image(repositoryName="team/app", imageTag="1", imageManifest=manifest)
    region.client("cloudformation").delete_stack(StackName=name)
    assert "team/app" not in [found["repositoryName"] for found in ecr.describe_repositories()["repositories"]]
    assert outputs(stack)["Project"] not in codebuild.list_projects()["projects"]


def test_a_rule_is_there_with_its_targets_changes_and_goes(region: Region, name: str) -> None:
    def rule(*targets: str, state: str = "ENABLED") -> dict[str, Any]:
        queue = {"Fn::GetAtt": ["Queue", "Arn"]}
        properties = {
            "Name": "a-rule",
            "EventPattern": {"source": ["aws.sagemaker"]},
            "State": state,
            "Targets": [{"Id": target, "Arn": queue, "Input": "{}"} for target in targets],
        }
        return {"Queue": {"Type": "AWS::SQS::Queue"}, "Rule": {"Type": "AWS::Events::Rule", "Properties": properties}}

    events = region.client("events")
    arn = {"Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Rule", "Arn"]}}, "Name": {"Value": {"Ref": "Rule"}}}}
    stack = deploy(region, name, rule("first", "second"), **arn)
    found = events.describe_rule(Name="a-rule")
    assert (found["State"], json.loads(found["EventPattern"])) == ("ENABLED", {"source": ["aws.sagemaker"]})
    assert outputs(stack) == {"Arn": found["Arn"], "Name": "a-rule"}

    deploy(region, name, rule("second", "third", state="DISABLED"), **arn)
    assert events.describe_rule(Name="a-rule")["State"] == "DISABLED"
    assert {target["Id"] for target in events.list_targets_by_rule(Rule="a-rule")["Targets"]} == {"second", "third"}

    region.client("cloudformation").delete_stack(StackName=name)
    assert events.list_rules(NamePrefix="a-rule")["Rules"] == []
