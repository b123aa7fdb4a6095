"""The handlers that ask the model registry what is in production, and write into it what a deployment did."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from handlers_in_moto import BUCKET, handler_module

from functions.prepare_run.model_version import describe_version, refuse_training_keys
from functions.record_deployment.app import LONGEST_DESCRIPTION, one_line
from functions.shared.execution_input import InputRejected

GROUP = "visitcast-dev"
GROUP_ARN = f"arn:aws:sagemaker:eu-central-1:123456789012:model-package-group/{GROUP}"
REFERENCE = {"ReferenceUri": f"s3://{BUCKET}/runs/20261123-1/reference", "ForecastDate": "2026-11-24"}
LATER = (datetime.now(UTC) + timedelta(hours=1)).isoformat()


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module of find_production_model in a region with a bucket and an empty model package group."""
    monkeypatch.setenv("MODEL_PACKAGE_GROUP", GROUP)
    with handler_module(monkeypatch, "find_production_model", "s3", "sagemaker") as app:
        app.sagemaker.create_model_package_group(ModelPackageGroupName=GROUP)
        yield app


@pytest.fixture
def record(app: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of record_deployment in the same region."""
    from functions.record_deployment import app as module

    monkeypatch.setattr(module, "sagemaker", app.sagemaker)
    return module


def register(app: Any, run: int, status: str = "Approved", bucket: str = BUCKET, **metadata: str) -> str:
    arn: str = app.sagemaker.create_model_package(
        ModelPackageGroupName=GROUP,
        ModelApprovalStatus=status,
        InferenceSpecification={
            "Containers": [{"Image": "image", "ModelDataUrl": f"s3://{bucket}/runs/{run}/models/model.tar.gz"}],
            "SupportedContentTypes": ["text/csv"],
        },
        ModelMetrics={
            "ModelQuality": {
                "Statistics": {
                    "ContentType": "application/json",
                    "S3Uri": f"s3://{bucket}/runs/{run}/evaluation/evaluation.json",
                }
            }
        },
        CustomerMetadataProperties={"ModelName": f"model-{run}", "EndpointConfigName": f"config-{run}"} | metadata,
    )["ModelPackageArn"]
    return arn


def put(app: Any, key: str, content: Any) -> None:
    app.s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(content).encode())


def reference(app: Any) -> dict[str, Any]:
    """Return the content of the JSON files beside the run."""
    listed = app.s3.list_objects_v2(Bucket=BUCKET, Prefix="runs/20261123-1/reference/").get("Contents", [])
    keys = [item["Key"] for item in listed if item["Key"].endswith(".json")]
    return {
        key.rpartition("/")[2]: json.loads(app.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()) for key in keys
    }


def find(app: Any, **event: str) -> dict[str, Any]:
    found: dict[str, Any] = app.handler.__wrapped__(event, None)
    return found


def statuses(app: Any) -> dict[int, tuple[str, str | None]]:
    """Return status and reason of every version."""
    listed = app.sagemaker.list_model_packages(ModelPackageGroupName=GROUP)["ModelPackageSummaryList"]
    packages = [app.sagemaker.describe_model_package(ModelPackageName=entry["ModelPackageArn"]) for entry in listed]
    return {
        package["ModelPackageVersion"]: (package["ModelApprovalStatus"], package.get("ApprovalDescription"))
        for package in packages
    }


# --- what is in production -------------------------------------------------------------------------------------------


def test_the_newest_approved_version_is_in_production(app: Any) -> None:
    register(app, 1)
    second = register(app, 2, AnchorLead="0.0575")
    register(app, 3, "PendingManualApproval")
    register(app, 4, "Rejected")
    assert find(app, DefaultModelDataUrl="s3://new/model.tar.gz") == {
        "ModelVersion": "2",
        "ModelName": "model-2",
        "ModelDataUrl": f"s3://{BUCKET}/runs/2/models/model.tar.gz",
        "AnchorLead": "0.0575",
        "Environment": {},
        "References": [],
    }
    app.sagemaker.update_model_package(ModelPackageArn=second, ModelApprovalStatus="Rejected")
    found = find(app, DefaultModelDataUrl="s3://new/model.tar.gz")
    assert (found["ModelVersion"], found["AnchorLead"]) == ("1", "0")  # of a release that kept no such figure


def test_more_versions_than_a_page_of_the_registry_holds(app: Any) -> None:
    for run in range(1, 13):
        register(app, run)
    assert find(app, DefaultModelDataUrl="s3://new/model.tar.gz")["ModelVersion"] == "12"


def test_a_training_run_without_a_rival_gets_its_own_model_back(app: Any) -> None:
    register(app, 1, "PendingManualApproval")
    found = find(app, DefaultModelDataUrl="s3://new/model.tar.gz")
    assert (found["ModelVersion"], found["ModelDataUrl"], found["AnchorLead"]) == ("", "s3://new/model.tar.gz", "0")


def test_a_forecast_run_without_a_model_is_told_what_to_do(app: Any) -> None:
    register(app, 1, "Rejected")
    with pytest.raises(app.NoProductionModel, match="Run the training workflow first, or approve"):
        find(app, **REFERENCE)


def test_without_a_model_in_production_the_baseline_of_the_newest_that_the_gate_rejected_forecasts(app: Any) -> None:
    register(app, 1, "Rejected", GatePassed="false")
    register(app, 2, "Rejected", GatePassed="false")
    register(app, 3, "Rejected", GatePassed="true")  # by a person, or since its deployment failed
    register(app, 4, "Rejected")
    register(app, 5, "PendingManualApproval", GatePassed="true")
    put(app, "runs/2/evaluation/evaluation.json", {"of": 2})
    found = find(app, **REFERENCE, OnNoModel="baseline")
    assert (found["ModelName"], found["Environment"]) == ("model-2", {"VISITCAST_FORECASTER": "baseline"})
    assert reference(app) == {"evaluation.json": {"of": 2}}
    with pytest.raises(app.NoProductionModel, match="OnNoModel: baseline"):
        find(app, **REFERENCE, OnNoModel="stop")
    # A training run compares with what is in production only.
    assert find(app, DefaultModelDataUrl="s3://new/model.tar.gz")["ModelVersion"] == ""
    register(app, 6, GatePassed="true")
    register(app, 7, "Rejected", GatePassed="false")
    found = find(app, **REFERENCE, OnNoModel="baseline")
    assert (found["ModelName"], found["Environment"]) == ("model-6", {})


@pytest.mark.parametrize(
    ("days", "found"),
    [
        pytest.param(["10-27", "10-20", "11-17", "11-23", "11-24", "11-25"], "10-27", id="four weeks ago"),
        pytest.param(["09-29", "10-20", "10-26", "10-28", "11-17"], None, id="nothing was published then"),
    ],
)
def test_a_forecast_run_finds_the_evaluation_and_the_profile_of_its_weekday(
    app: Any, days: list[str], found: str | None
) -> None:
    register(app, 1)
    put(app, "runs/1/evaluation/evaluation.json", {"model": {"log_loss": 2.4}})
    for day in days:
        put(app, f"forecasts/profiles/dt=2026-{day}.json", {"day": day})
    expected = {"evaluation.json": {"model": {"log_loss": 2.4}}} | ({"profile.json": {"day": found}} if found else {})
    answer = find(app, **REFERENCE)
    assert (answer["ModelName"], answer["References"]) == ("model-1", list(expected))
    assert reference(app) == expected


def test_a_first_forecast_run_has_nothing_to_compare_with(app: Any) -> None:
    register(app, 1)
    assert find(app, **REFERENCE)["References"] == []
    assert reference(app) == {}
    # The processing job that reads the prefix would fail on an empty one.
    assert app.s3.list_objects_v2(Bucket=BUCKET, Prefix="runs/20261123-1/reference/")["KeyCount"] == 1


def test_an_error_that_is_not_a_missing_object_is_not_hidden(app: Any) -> None:
    register(app, 1, bucket="no-such-bucket")
    with pytest.raises(app.ClientError, match="NoSuchBucket"):
        find(app, **REFERENCE)


# --- which version a run deploys -------------------------------------------------------------------------------------


def test_an_approved_version_comes_with_its_endpoint_config(app: Any) -> None:
    register(app, 1)
    arn = register(app, 2)
    assert describe_version(app.sagemaker, GROUP_ARN, 2) == {
        "ModelVersion": 2,
        "Version": {"Arn": arn},
        "EndpointConfig": {"EndpointConfigName": "config-2"},
    }


def test_a_version_that_does_not_exist_is_refused(app: Any) -> None:
    register(app, 1)
    with pytest.raises(InputRejected, match=r"has no version 7\. aws sagemaker list-model-packages"):
        describe_version(app.sagemaker, GROUP_ARN, 7)


@pytest.mark.parametrize("status", ["PendingManualApproval", "Rejected"])
def test_a_version_that_is_not_approved_is_refused_with_the_reason(app: Any, status: str) -> None:
    arn = register(app, 1, status)
    app.sagemaker.update_model_package(
        ModelPackageArn=arn, ModelApprovalStatus=status, ApprovalDescription="not before the holidays"
    )
    with pytest.raises(InputRejected, match=rf"is {status} \(not before the holidays\). Approve it"):
        describe_version(app.sagemaker, GROUP_ARN, 1)


def test_a_version_of_other_origin_is_refused(app: Any) -> None:
    app.sagemaker.create_model_package(ModelPackageGroupName=GROUP, ModelApprovalStatus="Approved")
    with pytest.raises(InputRejected, match="names no endpoint config"):
        describe_version(app.sagemaker, GROUP_ARN, 1)


@pytest.mark.parametrize(
    ("beside", "named"),
    [
        pytest.param({"Hyperparameters": {}}, "Hyperparameters", id="section"),
        pytest.param({"TrainingJobName": "nightly", "Gate": {}}, "Gate, TrainingJobName", id="two keys"),
        pytest.param({"Endpoint": {"InstanceType": "ml.c5.large"}}, "Endpoint.InstanceType", id="part of a section"),
    ],
)
def test_a_run_either_deploys_or_trains(beside: dict[str, Any], named: str) -> None:
    with pytest.raises(InputRejected, match=f"trained already, {named} would shape a new one"):
        refuse_training_keys({"ModelVersion": 1, **beside})


def test_what_a_deployment_may_choose() -> None:
    refuse_training_keys({"ModelVersion": 1, "EndpointName": "other", "Endpoint": {"WaitSeconds": 5, "MaxChecks": 9}})


# --- what a deployment leaves in the registry ------------------------------------------------------------------------


def write_down(record: Any, arn: str, started: str = LATER, **more: Any) -> list[int]:
    event = {
        "ModelPackageArn": arn,
        "EndpointName": "visitcast-dev",
        "EndpointConfigName": f"config-{arn.rpartition('/')[2]}",
        "ExecutionId": "arn:aws:states:eu-central-1:123456789012:execution:visitcast-train-dev:monday",
        "ExecutionStartTime": started,
        **more,
    }
    rejected: list[int] = record.handler.__wrapped__(event, None)["RejectedVersions"]
    return rejected


def test_the_deployment_of_the_newest_version_rejects_nothing(app: Any, record: Any) -> None:
    register(app, 1)
    assert write_down(record, register(app, 2)) == []
    assert statuses(app) == {1: ("Approved", None), 2: ("Approved", None)}


def test_a_rollback_rejects_the_newer_approved_versions_and_says_why(app: Any, record: Any) -> None:
    first = register(app, 1)
    register(app, 2)
    register(app, 3, "PendingManualApproval")
    register(app, 4)
    assert write_down(record, first) == [4, 2]
    reason = "Rolled back to version 1 by execution monday"
    assert statuses(app) == {
        1: ("Approved", None),
        2: ("Rejected", reason),
        3: ("PendingManualApproval", None),
        4: ("Rejected", reason),
    }
    assert find(app, DefaultModelDataUrl="s3://new/model.tar.gz")["ModelVersion"] == "1"


def test_what_was_approved_after_a_rollback_began_is_a_later_decision(app: Any, record: Any) -> None:
    first = register(app, 1)
    register(app, 2)
    began = (datetime.now(UTC) - timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    assert write_down(record, first, began) == []


def test_a_version_whose_deployment_failed_is_rejected_with_the_reason(app: Any, record: Any) -> None:
    register(app, 1)
    second = register(app, 2)
    failure = {"Error": "EndpointUpdateRolledBack", "Cause": "It did not come up.\n" + "x" * 2000}
    assert write_down(record, second, Failure=failure) == [2]
    status, reason = statuses(app)[2]
    assert status == "Rejected"
    assert reason is not None
    assert reason.startswith("Deployment by execution monday failed: EndpointUpdateRolledBack: It did not come up. xxx")
    assert len(reason) == LONGEST_DESCRIPTION
    assert find(app, DefaultModelDataUrl="s3://new/model.tar.gz")["ModelVersion"] == "1"


def serve(app: Any, config: str) -> None:
    """Make an endpoint with a config of its own."""
    variant = {"ModelName": "model", "VariantName": "AllTraffic", "InstanceType": "ml.t2.medium"}
    role = "arn:aws:iam::123456789012:role/serving"
    app.sagemaker.create_model(ModelName="model", PrimaryContainer={"Image": "image"}, ExecutionRoleArn=role)
    app.sagemaker.create_endpoint_config(
        EndpointConfigName=config, ProductionVariants=[{**variant, "InitialInstanceCount": 1}]
    )
    app.sagemaker.create_endpoint(EndpointName="visitcast-dev", EndpointConfigName=config)


@pytest.mark.parametrize(
    ("config", "rejected"),
    [pytest.param("config-1", [], id="this version"), pytest.param("config-0", [1], id="another version")],
)
def test_a_version_that_the_endpoint_serves_stays_approved(
    app: Any, record: Any, config: str, rejected: list[int]
) -> None:
    first = register(app, 1)
    serve(app, config)
    assert write_down(record, first, Failure={"Error": "States.Timeout", "Cause": ""}) == rejected


def test_a_description_is_what_the_registry_takes() -> None:
    assert one_line("Column\tplatform\r\n is missing\x00") == "Column platform is missing"
    assert len(one_line("é" * 5000)) == LONGEST_DESCRIPTION
