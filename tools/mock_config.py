"""Mocked responses and definitions of the state machines for Step Functions Local; the cases of the training workflow.

    PYTHONPATH=. .venv/bin/python tools/mock_config.py mocks > tests/stepfunctions_local/MockConfigFile.json
    PYTHONPATH=. .venv/bin/python tools/mock_config.py train > build/train.asl.json
    PYTHONPATH=. .venv/bin/python tools/mock_config.py forecast > build/forecast.asl.json

The mocks are test cases: for each Task state on a path, the response that stands in for the service. The definitions
have sample values for everything that only a deployment knows. A test runs every case and compares the file with what
this prints.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

import forecast_cases
from asl_lint import ROOT, SUBSTITUTION, sample_value, state_machines
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


def definition(state_machine: str) -> dict[str, Any]:
    """Return the definition of a state machine, by its logical id in the template, with sample values."""
    machine = next(properties for name, properties in state_machines() if name == state_machine)
    text = (ROOT / machine["DefinitionUri"]).read_text(encoding="utf-8")
    values = machine["DefinitionSubstitutions"]
    found: dict[str, Any] = json.loads(SUBSTITUTION.sub(lambda match: sample_value(match.group(1), values), text))
    return found


def run(execution_input: Mapping[str, Any], **deployed: Any) -> Response:
    """Return the response of "Prepare run": the real plan, with pauses of one second."""
    short = {"SourceSql": {"WaitSeconds": 1}, "Endpoint": {"WaitSeconds": 1}}
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
            "Reason": "COLUMN_NOT_FOUND: shoe_size" if state == "FAILED" else "",
            "OutputLocation": place,
            "DataScannedInBytes": 1,
        }
    )


def evaluation(*, passed: bool) -> Response:
    """Return S3's response for evaluation.json with the fields that the states read."""
    verdict = dict.fromkeys(("passed", "within_absolute_limits", "beats_baselines", "beats_production"), passed)
    report = {
        "data": {"test_rows": 1000, "manifest_sha256": "0" * 64},
        "model": {"log_loss": 2.5, "best_hour_hit_rate": 0.3},
        "baselines": {"tuned_histogram": {"log_loss": 2.6}, "global_histogram": {"log_loss": 2.9}},
        "production": None,
        "gate": {**verdict, "reasons": [] if passed else ["rmse_hours is above 0.01."]},
    }
    return returns({"Body": json.dumps(report), "ContentType": "application/json"})


def endpoint(config: str = "AsCreated", status: str = "InService") -> Response:
    """Return the response of DescribeEndpoint."""
    return returns({"EndpointName": "visitcast-mocked", "EndpointStatus": status, "EndpointConfigName": config})


NO_ENDPOINT = throws("SageMaker.SageMakerException", 'Could not find endpoint "visitcast-mocked".', "0-4")
TRAINED = {"TrainingJobName": "train", "ModelArtifacts": {"S3ModelArtifacts": MODEL}}

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
    "QueryStarted": function({"QueryExecutionId": "query"}),
    "QuerySucceeded": query("SUCCEEDED"),
    "QueryFailed": query("FAILED"),
    "FileCopied": function({"Uri": "s3://bucket/runs/sample/input/visits.csv", "SizeInBytes": 1}),
    "FilesFound": returns({"KeyCount": 1}),
    "NoFilesFound": returns({"KeyCount": 0}),
    "Processed": returns({"ProcessingJobName": "job", "ProcessingJobStatus": "Completed"}),
    "ProcessingFailed": throws("States.TaskFailed", '{"ExitMessage": "Column platform is missing."}'),
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
    "Trained": returns(TRAINED, "0-1"),  # each of two folds
    "TrainedAtTheSecondAttempt": {
        **throws("SageMaker.AmazonSageMakerException", "Rate exceeded"),
        "1": {"Return": TRAINED},
    },
    "NoProcessingQuota": no_quota("processing job"),
    "NoTrainingQuota": no_quota("training job", "0-1"),
    "NoEndpointQuota": no_quota("endpoint", "0-4"),
    "NoEndpoint": NO_ENDPOINT,
    "EndpointDenied": throws(
        "SageMaker.SageMakerException", "not authorized to perform: sagemaker:DescribeEndpoint", "0-4"
    ),
    "EndpointAsBefore": endpoint("config-before"),
    "EndpointAsCreated": endpoint("config-new"),
    "ProductionFound": function({"ModelVersion": "1", "ModelName": "model-before", "ModelDataUrl": MODEL}),
    "NoProduction": function({"ModelVersion": "", "ModelName": "", "ModelDataUrl": MODEL}),
    "GoodEvaluation": evaluation(passed=True),
    "BadEvaluation": evaluation(passed=False),
    "MetricsPublished": returns({}),
    "VersionRegistered": returns({"ModelPackageArn": f"{ARN}:model-package/visitcast-mocked/1"}),
    "VersionRefused": throws("SageMaker.ConflictException", "another registration is under way", "0-4"),
    "ApprovalRequested": returns({"MessageId": "message"}),
    "NothingRejected": function({"RejectedVersions": []}),
    "VersionRejected": function({"RejectedVersions": [1]}),
    "VersionNotRejected": throws("AccessDeniedException", "not authorized to perform: sagemaker:UpdateModelPackage"),
    "ModelSaved": returns({"ModelArn": f"{ARN}:model/model-new"}),
    "ConfigCreated": returns({"EndpointConfigArn": f"{ARN}:endpoint-config/config-new"}),
    "EndpointChanged": returns({"EndpointArn": f"{ARN}:endpoint/visitcast-mocked"}),
}

FROM_CSV: Case = {
    "Prepare run": "RunOnce",
    "Run source SQL": "QueryStarted",
    "Get source SQL status": "QuerySucceeded",
    "Copy source file": "FileCopied",
    "Preprocess": "Processed",
}
TRAINED_AND_JUDGED: Case = {
    **FROM_CSV,
    "Train": "Trained",
    "Find production model": "NoProduction",
    "Evaluate": "Processed",
    "Read evaluation": "GoodEvaluation",
    "Publish metrics": "MetricsPublished",
}
REGISTERED: Case = {
    **TRAINED_AND_JUDGED,
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
FAILED_DEPLOYMENT: Case = {
    **without(DEPLOYMENT, "Record deployment"),
    "Get endpoint status": "EndpointAsBefore",
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
            "Prepare run": "RunWithEverything",
            "Look for source files": "FilesFound",
            "Combine dataset": "Processed",
            "Tune hyperparameters": "Tuned",
            "Train fold": "Trained",
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
    "SqlFails": (
        "Source SQL failed",
        {**without(FROM_CSV, "Copy source file", "Preprocess"), "Get source SQL status": "QueryFailed"},
    ),
    "NoVisits": (
        "Source SQL returned no visits",
        {
            **without(FROM_CSV, "Copy source file", "Preprocess"),
            "Prepare run": "RunWithEverything",
            "Look for source files": "NoFilesFound",
        },
    ),
    "BadVisits": ("Preprocessing failed", {**FROM_CSV, "Preprocess": "ProcessingFailed"}),
    "NoQuotaToPreprocess": ("Instance quota too low", {**FROM_CSV, "Preprocess": "NoProcessingQuota"}),
    "NoQuotaToCombine": (
        "Instance quota too low",
        {
            **without(FROM_CSV, "Copy source file"),
            "Prepare run": "RunWithEverything",
            "Look for source files": "FilesFound",
            "Combine dataset": "NoProcessingQuota",
        },
    ),
    "NoQuotaToTune": (
        "Instance quota too low",
        {
            **without(FROM_CSV, "Copy source file"),
            "Prepare run": "RunWithEverything",
            "Look for source files": "FilesFound",
            "Combine dataset": "Processed",
            "Tune hyperparameters": "NoTrainingQuota",
        },
    ),
    "NoQuotaForAFold": (
        "Instance quota too low",
        {
            **without(FROM_CSV, "Copy source file"),
            "Prepare run": "RunWithEverything",
            "Look for source files": "FilesFound",
            "Combine dataset": "Processed",
            "Tune hyperparameters": "Tuned",
            "Train fold": "NoTrainingQuota",
        },
    ),
    "NoQuotaToTrain": ("Instance quota too low", {**FROM_CSV, "Train": "NoTrainingQuota"}),
    "NoQuotaToEvaluate": (
        "Instance quota too low",
        {**FROM_CSV, "Train": "Trained", "Find production model": "NoProduction", "Evaluate": "NoProcessingQuota"},
    ),
    "NoQuotaForTheEndpoint": (
        "Deployment failed",
        {
            **without(FAILED_DEPLOYMENT, "Get endpoint status"),
            "Update endpoint": "NoEndpointQuota",
        },
    ),
    "EndpointDenied": (
        "Deployment failed",
        {
            **without(FAILED_DEPLOYMENT, "Update endpoint", "Get endpoint status"),
            "Describe endpoint": "EndpointDenied",
        },
    ),
    "ModelRejected": ("Model rejected", {**TRAINED_AND_JUDGED, "Read evaluation": "BadEvaluation"}),
    "NotRegistered": ("Model version not registered", {**REGISTERED, "Register model version": "VersionRefused"}),
    "RolledBack": ("Deployment failed", FAILED_DEPLOYMENT),
    "FailureNotRecorded": (
        "Failed deployment not recorded",
        {**FAILED_DEPLOYMENT, "Record failed deployment": "VersionNotRejected"},
    ),
}
"""Each case by name: its last state, and the response of every Task state on its path."""


Cases = dict[str, tuple[str, Case]]
MACHINES: dict[str, tuple[str, Cases, dict[str, Response]]] = {
    MACHINE: ("TrainStateMachine", CASES, RESPONSES),
    forecast_cases.MACHINE: ("ForecastStateMachine", forecast_cases.CASES, forecast_cases.RESPONSES),
}
"""Each state machine by its name in the file: its logical id in the template, its cases, and their responses."""


def mock_config() -> dict[str, Any]:
    """Return the mock configuration; responses that no case uses are left out.

    Raises
    ------
    ValueError
        Two responses have one name.
    """
    machines: dict[str, Any] = {}
    mocked: dict[str, Response] = {}
    for machine, (_, cases, responses) in MACHINES.items():
        machines[machine] = {"TestCases": {name: states for name, (_, states) in cases.items()}}
        used = {response for _, states in cases.values() for response in states.values()}
        if twice := used & mocked.keys():
            raise ValueError(f"Responses of two state machines have one name: {twice}")
        mocked |= {name: response for name, response in responses.items() if name in used}
    return {"StateMachines": machines, "MockedResponses": mocked}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Print what Step Functions Local needs.")
    parser.add_argument("document", choices=("mocks", "train", "forecast"))
    document = parser.parse_args().document
    print(text(mock_config() if document == "mocks" else definition(f"{document.title()}StateMachine")))


def text(document: Mapping[str, Any]) -> str:
    """Return a document as printed."""
    return json.dumps(document, indent=2)


if __name__ == "__main__":
    main()
