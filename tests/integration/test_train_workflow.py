"""The training workflow from events to an endpoint that answers."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile

import pytest
from deployed_stack import PARAMETERS, QUICK, Execution, Production, Stack, quota

HAPPY_PATH = """
Prepare run; Run source SQL; Wait for source SQL; Get source SQL status; Is the source SQL complete?; Copy source file;
Preprocess; Is cross-validation wanted?; Train; Find production model; Evaluate; Read evaluation;
Is the model good enough?; Save model; Create endpoint config; Register model version; Deploy; Describe endpoint;
Wait for endpoint; Get endpoint status; Is the version in service?; Version in service; Record deployment;
Pipeline succeeded
"""


def requested_names(execution: Execution, parameter: str) -> list[str]:
    """Return the job names that an execution asked for, one per attempt."""
    scheduled = [e["taskScheduledEventDetails"] for e in execution.events if "taskScheduledEventDetails" in e]
    parameters = [json.loads(details["parameters"]) for details in scheduled]
    return [p[parameter] for p in parameters if parameter in p]


def test_first_run_creates_the_endpoint_and_it_forecasts(production: Production) -> None:
    execution = production.execution
    assert execution.status == "SUCCEEDED", f"{execution.end_state}: {execution.error}: {execution.cause}"
    path = [state.strip() for state in HAPPY_PATH.replace("\n", " ").split(";")]
    visited = iter(execution.states)
    assert all(state in visited for state in path), execution.states
    assert "Create endpoint" in execution.states
    assert execution.outputs_of("Find production model")[0]["production"]["ModelVersion"] == ""
    assert "Update endpoint" not in execution.states

    forecast = production.forecast()
    assert len(forecast["first_visit_hour"]) == len(forecast["visit_hour"]) == 24
    assert sum(forecast["first_visit_hour"]) == pytest.approx(1, abs=1e-5)
    assert forecast["best_hour"] in range(24)


def test_evaluation_holds_every_baseline_and_the_gate(stack: Stack, production: Production) -> None:
    run = production.execution.outputs_of("Prepare run")[0]["run"]
    evaluation = stack.read_json(run["Uris"]["Evaluation"] + "/evaluation.json")
    assert set(evaluation["baselines"]) == {
        "global_histogram",
        "last_hour",
        "user_histogram",
        "tuned_histogram",
    }
    assert evaluation["gate"]["passed"]
    assert evaluation["production"] is None
    assert evaluation["data"]["test_rows"] > 0


def test_the_accepted_model_is_in_the_registry_and_can_be_found_from_the_endpoint(
    stack: Stack, production: Production
) -> None:
    execution = production.execution
    run = execution.outputs_of("Prepare run")[0]["run"]
    model_data = execution.outputs_of("Train")[0]["training"]["ModelDataUrl"]
    # The execution's own endpoint config, which a later run of another test may have replaced.
    config = execution.outputs_of("Create endpoint config")[0]["run"]["EndpointConfig"]["EndpointConfigName"]
    arn = stack.sagemaker.describe_endpoint_config(EndpointConfigName=config)["EndpointConfigArn"]
    tags = {tag["Key"]: tag["Value"] for tag in stack.sagemaker.list_tags(ResourceArn=arn)["Tags"]}
    group = stack.outputs["ModelPackageGroupName"]
    listed = stack.sagemaker.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]
    (found,) = [entry for entry in listed if entry["ModelPackageDescription"] == f"Run {tags['visitcast:run']}"]
    version = stack.sagemaker.describe_model_package(ModelPackageName=found["ModelPackageArn"])

    assert version["ModelPackageGroupName"] == stack.outputs["ModelPackageGroupName"]
    assert version["ModelApprovalStatus"] == "Approved"
    (container,) = version["InferenceSpecification"]["Containers"]
    assert container["ModelDataUrl"] == model_data
    evaluation = stack.read_json(version["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"])
    lineage = version["CustomerMetadataProperties"]
    manifest = stack.read(lineage["DatasetUri"] + "/manifest.json")
    assert lineage["DatasetManifestSha256"] == hashlib.sha256(manifest).hexdigest()
    assert float(lineage["TestLogLoss"]) == evaluation["as_sent"]["log_loss"]
    assert float(lineage["AnchorLead"]) == evaluation["gate"]["anchor_lead"]
    assert (lineage["RunId"], version["MetadataProperties"]["GeneratedBy"]) == (run["RunId"], execution.arn)
    assert lineage["EndpointConfigName"] == config
    (variant,) = stack.sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    assert variant["ModelName"] == lineage["ModelName"]

    with tarfile.open(fileobj=io.BytesIO(stack.read(model_data))) as archive:
        file = archive.extractfile("model.json") or archive.extractfile("./model.json")
        assert file is not None
        bundle = json.load(file)
    assert bundle["metadata"]["revision"] == version["MetadataProperties"]["CommitId"] != ""
    if "VISITCAST_TEST_STACK" not in os.environ:
        assert bundle["metadata"]["revision"] == PARAMETERS["Revision"]


def test_second_run_survives_quota_and_taken_names_and_updates_the_endpoint(
    stack: Stack, production: Production
) -> None:
    old_config = production.config()
    production.replay("preprocess", "train")  # the evaluation compares with production
    stack.order_fault(
        service="sagemaker", operation="CreateTrainingJob", error="ResourceLimitExceeded", message=quota(1, in_use=1)
    )
    stack.order_fault(service="sagemaker", operation="CreateProcessingJob", error="ResourceInUse", times=1)
    execution = stack.run(QUICK | {"TrainingJobName": "nightly", "PreprocessingJobName": "visits"})
    assert execution.status == "SUCCEEDED", f"{execution.end_state}: {execution.error}: {execution.cause}"
    assert "Update endpoint" in execution.states
    assert "Create endpoint" not in execution.states

    training = requested_names(execution, "TrainingJobName")
    assert "Wait for an instance to train" in execution.states
    assert [name.rsplit("-", 1)[0] for name in training] == ["nightly-0", "nightly-0"]
    assert len(set(training)) == 2
    preprocessing = [n for n in requested_names(execution, "ProcessingJobName") if n.startswith("visits-")]
    assert len(preprocessing) == len(set(preprocessing)) == 2
    assert all(re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", name) for name in training + preprocessing)

    config = execution.outputs_of("Create endpoint config")[0]["run"]["EndpointConfig"]["EndpointConfigName"]
    assert production.config() == config != old_config
    run = execution.outputs_of("Prepare run")[0]["run"]
    evaluation = stack.read_json(run["Uris"]["Evaluation"] + "/evaluation.json")
    rival = stack.version(int(evaluation["production"]["model_version"]))
    assert rival["CustomerMetadataProperties"]["EndpointConfigName"] == old_config
    # The same model has the same lead, whether it is the anchor or is held to it.
    assert rival["CustomerMetadataProperties"]["AnchorLead"] == f"{evaluation['gate']['anchor_lead']}"
    assert evaluation["production"]["rows"] == evaluation["data"]["test_rows"]
    # What a run approves itself starts no second deployment: the rule hears of updates only.
    assert stack.executions()[0] == execution.arn
    assert production.forecast()["user_id"]


def test_cross_validation_trains_one_job_per_rolling_origin_fold(stack: Stack, production: Production) -> None:
    # The two folds train. The gate's limit ends the run before the endpoint.
    production.replay("preprocess")
    production.replay("train", after=2)
    execution = stack.run(QUICK | {"CrossValidation": {"Folds": 2}, "Gate": {"MaxMaeHours": 0.01}})
    assert execution.end_state == "Model rejected"
    folds = execution.outputs_of("Cross-validate")[0]["cross_validation"]
    described = [stack.sagemaker.describe_training_job(TrainingJobName=fold["TrainingJobName"]) for fold in folds]
    metrics = [{metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]} for job in described]
    assert len(metrics) == 2
    assert all(0 < m["fold:log_loss"] < 10 and 0 < m["fold:mae_hours"] < 24 for m in metrics)
    assert metrics[0] != metrics[1]

    run = execution.outputs_of("Prepare run")[0]["run"]
    reported = stack.read_json(run["Uris"]["Evaluation"] + "/evaluation.json")["cross_validation"]
    assert [fold["fold"] for fold in reported["folds"]] == [1, 2]
    assert [fold["model"]["log_loss"] for fold in reported["folds"]] == pytest.approx(
        [m["fold:log_loss"] for m in metrics], abs=1e-4
    )
