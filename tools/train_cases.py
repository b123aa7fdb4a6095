"""Test cases of the training workflow with mocked responses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mocked_responses import Case, Response, function, no_quota, returns, throws, without

from functions.prepare_run.contradictions import contradictions
from functions.prepare_run.deployment import Deployment
from functions.prepare_run.plan import plan_run
from functions.shared.execution_input import load_schema, validated
from functions.shared.network import Network

MACHINE = "visitcast-train-mocked"
ARN = "arn:aws:sagemaker:eu-central-1:123456789012"
EXECUTION = f"arn:aws:states:eu-central-1:123456789012:execution:{MACHINE}:sample"
MODEL = "s3://bucket/runs/sample/models/job/output/model.tar.gz"


def run(execution_input: Mapping[str, Any], **deployed: Any) -> Response:
    """Return the response of "Prepare run": the real plan, with pauses of one second."""
    short = {"SourceSql": {"WaitSeconds": 1}, "Endpoint": {"WaitSeconds": 1, "MaxChecks": 3}}
    given = {**execution_input, **{key: {**execution_input.get(key, {}), **value} for key, value in short.items()}}
    plan = plan_run(
        validated(given, load_schema("train"), contradictions),
        execution_id=EXECUTION,
        started_at="2026-11-23T09:15:00.123Z",
        deployment=Deployment(bucket="bucket", endpoint_name="visitcast-mocked", **deployed),
    )
    if "ModelVersion" in given:
        version = {"Arn": f"{ARN}:model-package/visitcast-mocked/{given['ModelVersion']}"}
        plan |= {
            "ModelVersion": given["ModelVersion"],
            "Version": version,
            "EndpointConfig": {"EndpointConfigName": "config-new"},
        }
    return returns({"StatusCode": 200, "Payload": plan})


def query(state: str) -> Response:
    """Return the response of "Get source SQL status"."""
    place = "s3://bucket/athena-results/query.csv"
    return function(
        {
            "QueryExecutionId": "query",
            "State": state,
            "Reason": "COLUMN_NOT_FOUND: shoe_size." if state == "FAILED" else "",
            "OutputLocation": place,
            "DataScannedInBytes": 1,
            "CountsQueryExecutionId": "counts",
            "Events": {"rows": 1000, "Notes": []} if state == "SUCCEEDED" else {},
        }
    )


def evaluation(*, passed: bool) -> Response:
    """Return S3's response for evaluation.json with the fields that the states read."""
    verdict = dict.fromkeys(("passed", "within_absolute_limits", "beats_baselines", "beats_production"), passed)
    report = {
        "data": {"test_rows": 1000, "manifest_sha256": "0" * 64},
        "as_sent": {
            "log_loss": 2.5,
            "best_hour_hit_rate": 0.3,
            "baselines": {"tuned_histogram": {"log_loss": 2.6}, "global_histogram": {"log_loss": 2.9}},
        },
        "production": None,
        "gate": {**verdict, "anchor_lead": 0.05, "reasons": [] if passed else ["rmse_hours is above 0.01."]},
    }
    return returns({"Body": json.dumps(report), "ContentType": "application/json"})


def endpoint(config: str = "AsCreated", status: str = "InService") -> Response:
    """Return the response of DescribeEndpoint."""
    return returns({"EndpointName": "visitcast-mocked", "EndpointStatus": status, "EndpointConfigName": config})


NO_ENDPOINT = throws("SageMaker.SageMakerException", 'Could not find endpoint "visitcast-mocked".', "0-4")
TRAINING_JOB = {"TrainingJobName": "train", "ModelArtifacts": {"S3ModelArtifacts": MODEL}}

RESPONSES: dict[str, Response] = {
    "RunOnce": run({}),
    "RunWithEverything": run(
        {
            "SourceSql": {"Format": "parquet"},
            "Preprocessing": {"InstanceCount": 2},
            "Tuning": {"MaxJobs": 2},
            "CrossValidation": {"Folds": 2},
        },
        endpoint_mode="serverless",
        isolates_models=False,
    ),
    "RunInSubnets": run({}, network=Network(("subnet-0a1b2c3d", "subnet-4e5f6a7b"), ("sg-0a1b2c3d",))),
    "RunThatAsks": run({"Approval": {"Required": True}}, approval_mode="on-request"),
    "RunOfVersion": run({"ModelVersion": 1}),
    "RunWithoutEndpoint": run({}, endpoint_mode="none"),
    "RunRefused": throws("InvalidInput", "ModelNam is not a key of the execution input."),
    "QueryStarted": function({"QueryExecutionId": "query", "CountsQueryExecutionId": "counts"}),
    "QueryNotStarted": throws("NoSuchKey", "There is no sql/own_visits.sql."),
    "QueryUnknown": throws("InvalidRequestException", "QueryExecution query was not found"),
    "QueryCancelled": query("CANCELLED"),
    "QuerySucceeded": query("SUCCEEDED"),
    "QueryFailed": query("FAILED"),
    "FileCopied": function({"Uri": "s3://bucket/runs/sample/input/visits.csv", "SizeInBytes": 1}),
    "FileNotCopied": throws("AccessDenied", "Access Denied"),
    "FilesFound": returns({"KeyCount": 1}),
    "NoFilesFound": returns({"KeyCount": 0}),
    "Processed": returns({"ProcessingJobName": "job", "ProcessingJobStatus": "Completed"}),
    "ProcessingFailed": throws("States.TaskFailed", '{"ExitMessage": "Column platform is missing."}'),
    "ProcessingTimedOut": throws("States.Timeout", "The task has timed out."),
    "NothingTuned": throws("States.TaskFailed", '{"FailureReason": "All training jobs have failed."}'),
    "Tuned": returns(
        {
            "HyperParameterTuningJobName": "tune",
            "BestTrainingJob": {
                "TrainingJobName": "tune-1",
                "TunedHyperParameters": {"units": "64"},
                "FinalHyperParameterTuningJobObjectiveMetric": {"MetricName": "m", "Value": 2.5},
            },
        }
    ),
    "Trained": returns(TRAINING_JOB, "0-1"),  # each of two folds
    "NotTrained": throws("States.TaskFailed", '{"FailureReason": "AlgorithmError: ..., exit code: 1"}', "0-1"),
    "TrainedAtTheSecondAttempt": {
        **throws("SageMaker.AmazonSageMakerException", "Rate exceeded"),
        "1": {"Return": TRAINING_JOB},
    },
    "NoProcessingQuota": no_quota("processing job"),
    "NoTrainingQuota": no_quota("training job", "0-1"),
    "NoEndpointQuota": no_quota("endpoint", "0-4"),
    "NoEndpoint": NO_ENDPOINT,
    "EndpointDenied": throws(
        "SageMaker.SageMakerException", "not authorized to perform: sagemaker:DescribeEndpoint", "0-4"
    ),
    "EndpointCallTimedOut": throws("States.Timeout", "The task has timed out."),
    "EndpointNotChanged": throws("SageMaker.SageMakerException", "Cannot find the execution role", "0-4"),
    "EndpointFailed": endpoint("config-new", "Failed"),
    "EndpointUpdating": {"0-2": endpoint("config-before", "Updating")["0"]},
    "EndpointAsBefore": endpoint("config-before"),
    "EndpointAsCreated": endpoint("config-new"),
    "ProductionFound": function(
        {"ModelVersion": "1", "ModelName": "model-before", "ModelDataUrl": MODEL, "AnchorLead": "0.06"}
    ),
    "NoProduction": function({"ModelVersion": "", "ModelName": "", "ModelDataUrl": MODEL, "AnchorLead": "0"}),
    "ProductionUnknown": throws("AccessDeniedException", "not authorized to perform: sagemaker:ListModelPackages"),
    "GoodEvaluation": evaluation(passed=True),
    "BadEvaluation": evaluation(passed=False),
    "MetricsPublished": returns({}),
    "VersionRegistered": returns({"ModelPackageArn": f"{ARN}:model-package/visitcast-mocked/1"}),
    "VersionRefused": throws("SageMaker.ConflictException", "another registration is under way", "0-4"),
    "ApprovalRequested": returns({"MessageId": "message"}),
    "ApprovalNotRequested": throws("Sns.AuthorizationErrorException", "not authorized to perform: SNS:Publish", "0-4"),
    "NothingRejected": function({"RejectedVersions": []}),
    "VersionRejected": function({"RejectedVersions": [1]}),
    "VersionNotRejected": throws("AccessDeniedException", "not authorized to perform: sagemaker:UpdateModelPackage"),
    "ModelNotSaved": throws("SageMaker.SageMakerException", "Could not access model data", "0-4"),
    "ModelSaved": returns({"ModelArn": f"{ARN}:model/model-new"}),
    "ConfigNotCreated": throws("SageMaker.SageMakerException", "Could not find model", "0-4"),
    "ConfigCreated": returns({"EndpointConfigArn": f"{ARN}:endpoint-config/config-new"}),
    "EndpointChanged": returns({"EndpointArn": f"{ARN}:endpoint/visitcast-mocked"}),
}

QUERIED: Case = {
    "Prepare run": "RunOnce",
    "Run source SQL": "QueryStarted",
    "Get source SQL status": "QuerySucceeded",
}
FROM_CSV: Case = {**QUERIED, "Copy source file": "FileCopied", "Preprocess": "Processed"}
TRAINED: Case = {**FROM_CSV, "Train": "Trained", "Find production model": "NoProduction"}
JUDGED: Case = {
    **TRAINED,
    "Evaluate": "Processed",
    "Read evaluation": "GoodEvaluation",
    "Publish metrics": "MetricsPublished",
}
REGISTERED: Case = {
    **JUDGED,
    "Save model": "ModelSaved",
    "Create endpoint config": "ConfigCreated",
    "Register model version": "VersionRegistered",
}
FIRST_RUN: Case = {
    **REGISTERED,
    "Describe endpoint": "NoEndpoint",
    "Create endpoint": "EndpointChanged",
    "Get endpoint status": "EndpointAsCreated",
    "Record deployment": "NothingRejected",
}
LATER_RUN: Case = {
    **without(FIRST_RUN, "Create endpoint"),
    "Find production model": "ProductionFound",
    "Train": "TrainedAtTheSecondAttempt",
    "Describe endpoint": "EndpointAsBefore",
    "Update endpoint": "EndpointChanged",
}
DEPLOYMENT: Case = {
    "Prepare run": "RunOfVersion",
    "Describe endpoint": "EndpointAsBefore",
    "Update endpoint": "EndpointChanged",
    "Get endpoint status": "EndpointAsCreated",
    "Record deployment": "VersionRejected",
}

WITH_EVERYTHING: Case = {
    **QUERIED,
    "Prepare run": "RunWithEverything",
    "Look for source files": "FilesFound",
    "Preprocess": "Processed",
    "Combine dataset": "Processed",
    "Tune hyperparameters": "Tuned",
    "Train fold": "Trained",
}
NOT_DEPLOYED: Case = {
    **without(DEPLOYMENT, "Get endpoint status", "Record deployment"),
    "Record failed deployment": "VersionRejected",
}

CASES: dict[str, tuple[str, Case]] = {
    "FirstRun": ("Pipeline succeeded", FIRST_RUN),
    "LaterRun": ("Pipeline succeeded", LATER_RUN),
    "LaterRunInSubnets": (
        "Pipeline succeeded",
        {**without(LATER_RUN, "Save model"), "Prepare run": "RunInSubnets", "Save model in subnets": "ModelSaved"},
    ),
    "EverythingOnServerless": (
        "Pipeline succeeded",
        {
            **without(LATER_RUN, "Copy source file", "Update endpoint"),
            **WITH_EVERYTHING,
            "Update serverless endpoint": "EndpointChanged",
        },
    ),
    "WithoutEndpoint": (
        "Pipeline succeeded",
        {**REGISTERED, "Prepare run": "RunWithoutEndpoint", "Record deployment": "NothingRejected"},
    ),
    "WaitsForApproval": (
        "Awaiting approval",
        {**REGISTERED, "Prepare run": "RunThatAsks", "Request approval": "ApprovalRequested"},
    ),
    "DeploysVersion": ("Pipeline succeeded", DEPLOYMENT),
    "VersionIsServed": (
        "Pipeline succeeded",
        {**without(DEPLOYMENT, "Update endpoint"), "Describe endpoint": "EndpointAsCreated"},
    ),
    "BadInput": ("Input rejected", {"Prepare run": "RunRefused"}),
    "SqlNotStarted": ("Source SQL not started", {"Prepare run": "RunOnce", "Run source SQL": "QueryNotStarted"}),
    "SqlUnknown": ("Source SQL status unknown", {**QUERIED, "Get source SQL status": "QueryUnknown"}),
    "SourceSqlFails": ("Source SQL failed", {**QUERIED, "Get source SQL status": "QueryFailed"}),
    "SqlCancelled": ("Source SQL cancelled", {**QUERIED, "Get source SQL status": "QueryCancelled"}),
    "FileNotCopied": ("Source file not copied", {**QUERIED, "Copy source file": "FileNotCopied"}),
    "NoVisits": (
        "Source SQL returned no visits",
        {**QUERIED, "Prepare run": "RunWithEverything", "Look for source files": "NoFilesFound"},
    ),
    "BadVisits": ("Preprocessing failed", {**FROM_CSV, "Preprocess": "ProcessingFailed"}),
    "PreprocessingTakesTooLong": ("Step timed out", {**FROM_CSV, "Preprocess": "ProcessingTimedOut"}),
    "NotTuned": (
        "Tuning failed",
        {**without(WITH_EVERYTHING, "Train fold"), "Tune hyperparameters": "NothingTuned"},
    ),
    "NotCrossValidated": ("Cross-validation failed", {**WITH_EVERYTHING, "Train fold": "NotTrained"}),
    "NotTrained": ("Training failed", {**FROM_CSV, "Train": "NotTrained"}),
    "ProductionUnknown": (
        "Production model not found",
        {**TRAINED, "Find production model": "ProductionUnknown"},
    ),
    "NotEvaluated": ("Evaluation failed", {**TRAINED, "Evaluate": "ProcessingFailed"}),
    "NoQuotaToPreprocess": ("Instance quota too low", {**FROM_CSV, "Preprocess": "NoProcessingQuota"}),
    "NoQuotaToCombine": (
        "Instance quota too low",
        {**without(WITH_EVERYTHING, "Tune hyperparameters", "Train fold"), "Combine dataset": "NoProcessingQuota"},
    ),
    "NoQuotaToTune": (
        "Instance quota too low",
        {**without(WITH_EVERYTHING, "Train fold"), "Tune hyperparameters": "NoTrainingQuota"},
    ),
    "NoQuotaForAFold": ("Instance quota too low", {**WITH_EVERYTHING, "Train fold": "NoTrainingQuota"}),
    "NoQuotaToTrain": ("Instance quota too low", {**FROM_CSV, "Train": "NoTrainingQuota"}),
    "NoQuotaToEvaluate": ("Instance quota too low", {**TRAINED, "Evaluate": "NoProcessingQuota"}),
    "ModelRejected": ("Model rejected", {**REGISTERED, "Read evaluation": "BadEvaluation"}),
    "ModelNotSaved": ("Model not saved", {**JUDGED, "Save model": "ModelNotSaved"}),
    "ConfigNotCreated": (
        "Endpoint config not created",
        {**JUDGED, "Save model": "ModelSaved", "Create endpoint config": "ConfigNotCreated"},
    ),
    "NotRegistered": ("Model version not registered", {**REGISTERED, "Register model version": "VersionRefused"}),
    "ApprovalNotRequested": (
        "Approval not requested",
        {**REGISTERED, "Prepare run": "RunThatAsks", "Request approval": "ApprovalNotRequested"},
    ),
    "EndpointDenied": (
        "Deployment failed",
        {**without(NOT_DEPLOYED, "Update endpoint"), "Describe endpoint": "EndpointDenied"},
    ),
    "EndpointCallTakesTooLong": ("Deployment failed", {**NOT_DEPLOYED, "Update endpoint": "EndpointCallTimedOut"}),
    "NoQuotaForTheEndpoint": ("Deployment failed", {**NOT_DEPLOYED, "Update endpoint": "NoEndpointQuota"}),
    "EndpointNotCreated": (
        "Deployment failed",
        {
            **without(NOT_DEPLOYED, "Update endpoint"),
            "Describe endpoint": "NoEndpoint",
            "Create endpoint": "EndpointNotChanged",
        },
    ),
    "EndpointNotUpdated": ("Deployment failed", {**NOT_DEPLOYED, "Update endpoint": "EndpointNotChanged"}),
    "EndpointFailed": ("Deployment failed", {**NOT_DEPLOYED, "Get endpoint status": "EndpointFailed"}),
    "EndpointTakesTooLong": ("Deployment failed", {**NOT_DEPLOYED, "Get endpoint status": "EndpointUpdating"}),
    "RolledBack": ("Deployment failed", {**NOT_DEPLOYED, "Get endpoint status": "EndpointAsBefore"}),
    "FailureNotRecorded": (
        "Failed deployment not recorded",
        {**NOT_DEPLOYED, "Get endpoint status": "EndpointAsBefore", "Record failed deployment": "VersionNotRejected"},
    ),
    "DeploymentNotRecorded": ("Deployment not recorded", {**DEPLOYMENT, "Record deployment": "VersionNotRejected"}),
}
"""Each case by name: its last state, and the response of every Task state on its path."""

INNER_ENDS = {
    "NoQuotaForAFold": "Quota too low for a fold",
    "EndpointDenied": "Endpoint not described",
    "EndpointCallTakesTooLong": "Endpoint call timed out",
    "NoQuotaForTheEndpoint": "Endpoint quota too low",
    "EndpointNotCreated": "Endpoint not created",
    "EndpointNotUpdated": "Endpoint not updated",
    "EndpointFailed": "Endpoint failed",
    "EndpointTakesTooLong": "Endpoint not in service in time",
    "RolledBack": "Endpoint update rolled back",
}
"""Fail state within a Map or a Parallel that a case ends in, by the case."""
