"""Validation of the execution input and the plan of a run."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.prepare_run.contradictions import contradictions
from functions.prepare_run.deployment import Deployment
from functions.prepare_run.plan import SOURCES, evaluation_arguments, plan_run
from functions.shared.execution_input import InputRejected, load_schema, validated
from functions.shared.network import Network
from functions.shared.run_id import run_id
from visitcast.data.protocol import MAX_FOLDS

SCHEMA = load_schema("train")
DEPLOYMENT = Deployment(bucket="bucket", endpoint_name="visitcast-dev")
EXECUTION = "arn:aws:states:eu-central-1:123456789012:execution:visitcast-train-dev:one"
SAGEMAKER_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


def plan(
    execution_input: dict[str, Any], execution: str = EXECUTION, deployment: Deployment = DEPLOYMENT
) -> dict[str, Any]:
    return plan_run(
        validated(execution_input, SCHEMA, contradictions),
        execution_id=execution,
        started_at="2026-11-23T09:15:00.123Z",
        deployment=deployment,
    )


@pytest.mark.parametrize(
    ("execution_input", "named"),
    [
        pytest.param({"Colour": 1}, "Colour", id="unknown key"),
        pytest.param({"Gate": {"MaxRmse": 1}}, "MaxRmse", id="unknown key in a section"),
        pytest.param({"TrainingJobName": "a" * 80}, "TrainingJobName", id="80-character name"),
        pytest.param({"TrainingJobName": "a" * 51}, "TrainingJobName", id="no room for the retry suffix"),
        pytest.param({"ModelName": "my_model"}, "ModelName", id="underscore"),
        pytest.param({"EndpointName": "endpoint-"}, "EndpointName", id="ends in a hyphen"),
        pytest.param({"EndpointName": ""}, "EndpointName", id="empty name"),
        pytest.param({"Gate": {"MaxRmseHours": -1}}, "Gate.MaxRmseHours", id="negative limit"),
        pytest.param({"CrossValidation": {"Folds": 2.5}}, "CrossValidation.Folds", id="half a fold"),
        pytest.param({"InputFilePath": "visits.csv"}, "InputFilePath", id="not in S3"),
        pytest.param({"Hyperparameters": {"fold": "1"}}, "Hyperparameters", id="reserved hyperparameter"),
        pytest.param(
            {"Hyperparameters": {"max_training_users": 9}}, "Hyperparameters", id="a hyperparameter with its own key"
        ),
        pytest.param({"Training": {"MaxTrainingUsers": -1}}, "MaxTrainingUsers", id="fewer users than none"),
        pytest.param({"Training": {"InstanceCount": 2}}, "InstanceCount", id="two training instances"),
        pytest.param(
            {"Preprocessing": {"InstanceCount": 2}}, "SourceSql.Format to parquet", id="two instances for one CSV"
        ),
        pytest.param(
            {"SourceSql": {"Format": "parquet"}, "InputFilePath": "s3://bucket/visits.csv"},
            "InputFilePath",
            id="a CSV key for Parquet",
        ),
        pytest.param(
            {"Gate": {"MustHoldInCrossValidation": True}}, "CrossValidation.Folds", id="gate on folds that are not"
        ),
        pytest.param(
            {"Gate": {"MustBeat": ["article_gru"]}}, "Evaluation.ArticleModelEpochs", id="gate on a model not fitted"
        ),
        pytest.param(
            {"Tuning": {"MaxJobs": 2, "IntegerRanges": {"units": {"Min": 9, "Max": 8}}}},
            "units is empty",
            id="empty range",
        ),
        pytest.param(
            {"Tuning": {"MaxJobs": 2, "IntegerRanges": {"units": {"Min": 1.5, "Max": 8}}}},
            "Tuning.IntegerRanges.units.Min",
            id="half a unit",
        ),
        pytest.param(
            {"Tuning": {"MaxJobs": 2, "IntegerRanges": {"dropout": {"Min": 0, "Max": 1}}}},
            "dropout is both",
            id="a range of two kinds",
        ),
        pytest.param(
            {"Tuning": {"MaxJobs": 2}, "Hyperparameters": {"units": 8, "dropout": 0, "learning_rate": 0.01}},
            "fixes all that has a range",
            id="nothing left to search",
        ),
        pytest.param(
            {"Endpoint": {"InstanceType": "ml.m5d.large"}},
            "Endpoint.InstanceType: ml.m5d.large has a disk of its own",
            id="an endpoint that takes no key",
        ),
        pytest.param(
            {"Training": {"InstanceType": "ml.c7g.xlarge"}},
            "Training.InstanceType: ml.c7g.xlarge has an ARM processor",
            id="another processor",
        ),
        pytest.param([], "input", id="not an object"),
    ],
)
def test_bad_input_is_rejected_and_the_key_is_named(execution_input: Any, named: str) -> None:
    with pytest.raises(InputRejected, match=re.escape(named)):
        validated(execution_input, SCHEMA, contradictions)


def test_every_violation_is_listed() -> None:
    with pytest.raises(InputRejected) as rejection:
        validated({"ModelName": "a_b", "EndpointName": "x-", "Gate": {"MaxMaeHours": 99}}, SCHEMA, contradictions)
    assert all(key in str(rejection.value) for key in ("ModelName", "EndpointName", "Gate.MaxMaeHours"))


def test_defaults_are_filled_without_touching_the_input() -> None:
    given_input = {"Gate": {"MaxMaeHours": 5}}
    filled = validated(given_input, SCHEMA, contradictions)
    assert filled["Gate"] == {
        "MaxMaeHours": 5,
        "MaxRmseHours": None,
        "MustBeat": ["global_histogram"],
        "MustHoldInCrossValidation": False,
        "NonInferiorityMarginNats": 0.005,
        "KeptLeadShare": 0.5,
    }
    assert filled["SourceSql"]["WaitSeconds"] == 30
    assert given_input == {"Gate": {"MaxMaeHours": 5}}


def test_a_retried_preparation_plans_the_same_run_and_another_execution_another() -> None:
    assert plan({}) == plan({})
    assert plan({})["RunId"] != plan({}, EXECUTION + "-two")["RunId"]


def test_hyperparameters_become_strings_and_folds_differ_only_in_theirs() -> None:
    run = plan(
        {"Hyperparameters": {"epochs": 3, "learning_rate": 0.002, "resume": True}, "CrossValidation": {"Folds": 3}}
    )
    assert run["Hyperparameters"] == {
        "epochs": "3",
        "learning_rate": "0.002",
        "resume": "true",
        "fold": "0",
        "folds": "0",
    }
    folds = run["CrossValidation"]["Items"]
    assert [item["Hyperparameters"]["fold"] for item in folds] == ["1", "2", "3"]
    assert {item["Hyperparameters"]["folds"] for item in folds} == {"3"}


def test_a_bound_on_the_training_users_reaches_every_training_job() -> None:
    run = plan({"Training": {"MaxTrainingUsers": 5000}, "Tuning": {"MaxJobs": 1}})
    for hyperparameters in (run["Hyperparameters"], run["Tuning"]["StaticHyperparameters"]):
        assert hyperparameters == {"max_training_users": "5000", "fold": "0", "folds": "0"}
    assert "max_training_users" not in plan({})["Hyperparameters"]  # the image has its default


def test_what_is_fixed_is_not_searched() -> None:
    run = plan({"Hyperparameters": {"units": 64}, "Tuning": {"MaxJobs": 1, "MaxParallelJobs": 4}})
    tuning = run["Tuning"]
    assert tuning["StaticHyperparameters"] == {"units": "64", "fold": "0", "folds": "0"}
    assert tuning["ParameterRanges"]["IntegerParameterRanges"] == []
    learning_rate, dropout = tuning["ParameterRanges"]["ContinuousParameterRanges"]
    assert learning_rate == {"Name": "learning_rate", "MinValue": "0.0005", "MaxValue": "0.01", "ScalingType": "Auto"}
    assert dropout["Name"] == "dropout"
    assert tuning["MaxParallelJobs"] == 1  # SageMaker refuses more than there are jobs
    assert run["Tuned"] == {"Hyperparameters": {}}


@pytest.mark.parametrize(
    ("source", "sql", "result"),
    [
        pytest.param({}, "own_visits.sql", "input/visits.csv", id="csv is the default"),
        pytest.param({"Format": "parquet"}, "histories.sql", "input/histories/", id="parquet"),
    ],
)
def test_the_format_decides_the_sql_and_where_its_result_goes(source: dict[str, str], sql: str, result: str) -> None:
    assert SOURCES.keys() == set(SCHEMA["properties"]["SourceSql"]["properties"]["Format"]["enum"])
    run = plan({"SourceSql": source})
    assert run["SourceSql"]["File"] == sql
    assert run["InputFilePath"] == f"s3://bucket/runs/{run['RunId']}/{result}"


@pytest.mark.parametrize(("folds", "ending"), [(0, "/dataset/manifest.json"), (2, "/folds")])
def test_evaluation_gets_the_folds_or_a_file_that_exists(folds: int, ending: str) -> None:
    run = plan({"CrossValidation": {"Folds": folds}})
    assert run["Evaluation"]["FoldsUri"] == f"s3://bucket/runs/{run['RunId']}{ending}"


def test_the_gate_becomes_arguments() -> None:
    given = validated({"Gate": {"MaxRmseHours": 6, "MustBeat": []}}, SCHEMA, contradictions)
    assert evaluation_arguments(given["Gate"], given["Evaluation"]) == [
        "evaluate",
        *("--max-rmse-hours", "6"),
        *("--max-mae-hours", "none"),
        *("--must-beat", "none"),
        *("--must-hold-in-cross-validation", "false"),
        *("--non-inferiority-margin", "0.005"),
        *("--kept-lead-share", "0.5"),
        *("--article-model-epochs", "0"),
    ]


names = st.from_regex(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*", fullmatch=True).filter(lambda name: len(name) <= 50)


@given(name=names, folds=st.integers(1, MAX_FOLDS))
def test_any_accepted_name_leaves_room_for_the_suffix_of_a_retry(name: str, folds: int) -> None:
    run = plan({"TrainingJobName": name, "ModelName": name, "CrossValidation": {"Folds": folds}})
    bases = [run["Names"]["TrainingJobName"], run["Names"]["ModelName"]]
    bases += [item["TrainingJobName"] for item in run["CrossValidation"]["Items"]]
    bases.append(plan({"PreprocessingJobName": name})["Names"]["CombineJobName"])
    assert all(SAGEMAKER_NAME.fullmatch(f"{base}-30-0a1b2c3d") for base in bases)
    assert len(set(bases[2:-1])) == folds


@given(execution=st.text(min_size=1, max_size=200))
def test_default_names_are_valid_for_any_execution(execution: str) -> None:
    names = plan({}, execution)["Names"]
    assert all(SAGEMAKER_NAME.fullmatch(f"{names[key]}-30-0a1b2c3d") for key in names if key != "EndpointName")
    assert len(f"{names['TuningJobName']}-30-0a1b2c3d") <= 32  # SageMaker's limit for tuning jobs
    assert re.fullmatch(r"20261123-091500-[0-9a-f]{6}", run_id(execution, "2026-11-23T09:15:00Z"))


KEY = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.mark.parametrize(
    ("instance_type", "has_key"),
    [
        ("ml.m5.xlarge", True),
        ("ml.c6i.2xlarge", True),
        ("ml.p3.2xlarge", True),
        ("ml.m5d.xlarge", False),
        ("ml.r5dn.large", False),
        ("ml.g4dn.xlarge", False),
        ("ml.g5.xlarge", False),
        ("ml.p4d.24xlarge", False),
    ],
)
def test_only_volumes_without_a_disk_of_their_own_get_a_key(instance_type: str, has_key: bool) -> None:
    deployment = dataclasses.replace(DEPLOYMENT, kms_key_arn=KEY)
    run = plan({"Training": {"InstanceType": instance_type}}, deployment=deployment)
    assert run["Training"]["Cluster"].get("VolumeKmsKeyId") == (KEY if has_key else None)


def test_spot_training_has_checkpoints_and_a_longest_wait() -> None:
    deployment = dataclasses.replace(DEPLOYMENT, use_spot=True)
    run = plan({"Training": {"MaxRuntimeInSeconds": 600}, "CrossValidation": {"Folds": 2}}, deployment=deployment)
    assert run["Training"]["UseSpot"] is True
    assert run["Training"]["StoppingCondition"] == {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 1200}
    places = [run["Uris"]["Checkpoints"], *(fold["CheckpointsUri"] for fold in run["CrossValidation"]["Items"])]
    assert len(set(places)) == 3
    assert all(run["RunId"] in place for place in places)


def test_without_spot_there_is_no_longest_wait() -> None:
    # SageMaker refuses MaxWaitTimeInSeconds without EnableManagedSpotTraining.
    assert "MaxWaitTimeInSeconds" not in plan({})["Training"]["StoppingCondition"]


def test_jobs_and_models_get_the_subnets_that_the_stack_was_given() -> None:
    network = Network(subnets=("subnet-0a1b2c3d", "subnet-4e5f6a7b"), security_groups=("sg-0a1b2c3d",))
    run = plan({}, deployment=dataclasses.replace(DEPLOYMENT, network=network))
    vpc = {"Subnets": ["subnet-0a1b2c3d", "subnet-4e5f6a7b"], "SecurityGroupIds": ["sg-0a1b2c3d"]}
    assert run["VpcConfig"] == vpc
    assert run["NetworkConfig"] == {"EnableNetworkIsolation": True, "VpcConfig": vpc}
    assert plan({})["NetworkConfig"] == {"EnableNetworkIsolation": True}


def test_a_serverless_endpoint_has_memory_instead_of_instances() -> None:
    deployment = dataclasses.replace(DEPLOYMENT, endpoint_mode="serverless", isolates_models=False)
    endpoint = plan({}, deployment=deployment)["Endpoint"]
    serverless = {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    assert endpoint["Variant"] == {"VariantName": "AllTraffic", "ServerlessConfig": serverless}
    assert endpoint["IsIsolated"] is False
    with_instances = plan({"Endpoint": {"InstanceCount": 2}})["Endpoint"]["Variant"]
    assert with_instances == {"VariantName": "AllTraffic", "InitialInstanceCount": 2, "InstanceType": "ml.t2.medium"}


@pytest.mark.parametrize(("instances", "routing"), [(1, "ALL_AT_ONCE"), (2, "CANARY")])
def test_an_endpoints_update_is_taken_back_by_its_alarms(instances: int, routing: str) -> None:
    deployment = dataclasses.replace(DEPLOYMENT, rollback_alarms=("errors", "latency"))
    change = plan({"Endpoint": {"InstanceCount": instances}}, deployment=deployment)["Endpoint"]["DeploymentConfig"]
    assert change["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]["Type"] == routing
    assert [alarm["AlarmName"] for alarm in change["AutoRollbackConfiguration"]["Alarms"]] == ["errors", "latency"]


@pytest.mark.parametrize(
    ("mode", "asked", "required", "status"),
    [
        pytest.param("none", None, False, "Approved", id="none"),
        pytest.param("on-request", None, False, "Approved", id="on request, not requested"),
        pytest.param("on-request", True, True, "PendingManualApproval", id="on request"),
        pytest.param("always", None, True, "PendingManualApproval", id="always"),
    ],
)
def test_who_asks_for_approval(mode: str, asked: bool | None, required: bool, status: str) -> None:
    deployment = dataclasses.replace(DEPLOYMENT, approval_mode=mode)
    approval = plan({"Approval": {"Required": asked}}, deployment=deployment)["Approval"]
    assert approval == {"Required": required, "InitialStatus": status}


@pytest.mark.parametrize(
    ("mode", "asked", "remedy"),
    [
        pytest.param("none", True, "deploy with ApprovalMode=on-request and AlarmEmail", id="not wanted"),
        pytest.param("always", False, "ApprovalMode of this stack is always", id="always"),
    ],
)
def test_an_input_that_contradicts_the_stack_about_approval(mode: str, asked: bool, remedy: str) -> None:
    with pytest.raises(InputRejected, match=remedy):
        plan({"Approval": {"Required": asked}}, deployment=dataclasses.replace(DEPLOYMENT, approval_mode=mode))
