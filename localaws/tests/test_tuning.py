"""Tuning jobs: their values, the best training job, and failures."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError
from region import IMAGE, ROLE, Region, wait_for

# Prints the distance of x from 3. The best job has the smallest.
DISTANCE = "print('distance=' + str(abs(float(hyperparameters['x']) - 3)))"


def ranges(**limits: tuple[float, float]) -> dict[str, Any]:
    entries = [{"Name": n, "MinValue": str(low), "MaxValue": str(high)} for n, (low, high) in limits.items()]
    return {"ContinuousParameterRanges": entries}


def start(region: Region, code: str = DISTANCE, jobs: int = 3, parallel: int = 2, **changes: Any) -> str:
    name = f"tune-{uuid.uuid4().hex[:8]}"
    config = {
        "Strategy": "Random",
        "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "distance"},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": jobs, "MaxParallelTrainingJobs": parallel},
        "ParameterRanges": ranges(x=(0, 10)),
    }
    definition = {
        "StaticHyperParameters": {"code": json.dumps(code)},
        "AlgorithmSpecification": {
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "distance", "Regex": r"distance=(\S+)"}],
        },
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": f"s3://{region.bucket}/tuned"},
        "ResourceConfig": changes.pop(
            "resources", {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
        ),
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    region.client("sagemaker").create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=changes.pop("name", name),
        HyperParameterTuningJobConfig={**config, **changes},
        TrainingJobDefinition=definition,
    )
    return name


def describe(region: Region, name: str) -> dict[str, Any]:
    described: dict[str, Any] = region.client("sagemaker").describe_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name
    )
    return described


def end_of(region: Region, name: str) -> dict[str, Any]:
    ended: dict[str, Any] = wait_for(
        lambda: describe(region, name),
        lambda job: job["HyperParameterTuningJobStatus"] in ("Completed", "Failed", "Stopped"),
    )
    return ended


def trials_of(region: Region, name: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = region.client("sagemaker").list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name
    )["TrainingJobSummaries"]
    return listed


def test_the_best_training_job_is_the_one_with_the_least_objective(region: Region) -> None:
    name = start(region)
    job = end_of(region, name)
    assert job["HyperParameterTuningJobStatus"] == "Completed", job
    assert job["TrainingJobStatusCounters"]["Completed"] == job["ObjectiveStatusCounters"]["Succeeded"] == 3

    trials = trials_of(region, name)
    drawn = [float(trial["TunedHyperParameters"]["x"]) for trial in trials]
    assert len(set(drawn)) == 3
    assert all(0 <= x <= 10 for x in drawn)
    best = job["BestTrainingJob"]
    assert float(best["TunedHyperParameters"]["x"]) == min(drawn, key=lambda x: abs(x - 3))
    metric = best["FinalHyperParameterTuningJobObjectiveMetric"]
    assert metric["Value"] == pytest.approx(min(abs(x - 3) for x in drawn))

    sagemaker = region.client("sagemaker")
    trained = sagemaker.describe_training_job(TrainingJobName=best["TrainingJobName"])
    assert best["TrainingJobName"].startswith(f"{name}-00")
    assert trained["TuningJobArn"] == job["HyperParameterTuningJobArn"]
    # SageMaker adds the name of the objective.
    assert set(trained["HyperParameters"]) == {"code", "x", "_tuning_objective_metric"}
    listed = sagemaker.list_hyper_parameter_tuning_jobs(NameContains=name)["HyperParameterTuningJobSummaries"]
    assert [entry["HyperParameterTuningJobStatus"] for entry in listed] == ["Completed"]


def test_failed_training_jobs_are_counted_and_the_rest_goes_on(region: Region) -> None:
    region.order(image="tester", match="-002-", argv=["python", "-c", "raise SystemExit(1)"])
    job = end_of(region, start(region))
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"]["NonRetryableError"] == 1
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 2, "Pending": 0, "Failed": 1}


@pytest.mark.parametrize(
    ("code", "completed"), [("raise SystemExit(1)", 0), ("print('no objective')", 2)], ids=["all fail", "no objective"]
)
def test_without_any_success_the_tuning_job_fails(region: Region, code: str, completed: int) -> None:
    job = end_of(region, start(region, code, jobs=2))
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("No training job succeeded after 2 attempts")
    assert job["TrainingJobStatusCounters"]["Completed"] == completed


def test_no_more_jobs_run_at_a_time_than_allowed_and_a_stop_reaches_them(region: Region) -> None:
    name = start(region, "import time; print('waiting'); time.sleep(600)", jobs=5, parallel=2)
    wait_for(lambda: describe(region, name)["TrainingJobStatusCounters"]["InProgress"], lambda running: running == 2)
    region.client("sagemaker").stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    job = end_of(region, name)
    assert job["HyperParameterTuningJobStatus"] == "Stopped"
    assert [trial["TrainingJobStatus"] for trial in trials_of(region, name)] == ["Stopped", "Stopped"]


def test_the_same_seed_draws_the_same_values(region: Region) -> None:
    names = [start(region, "print('distance=1')", jobs=2, parallel=1, RandomSeed=7) for _ in range(2)]
    for name in names:
        end_of(region, name)
    first, second = ([trial["TunedHyperParameters"] for trial in trials_of(region, name)] for name in names)
    assert first == second


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"name": "a" * 33}, "less than or equal to 32", id="name too long"),
        pytest.param({"ParameterRanges": {}}, "At least one parameter range", id="no range"),
        pytest.param({"ParameterRanges": ranges(code=(0, 1))}, "both static and in a range: code", id="static too"),
        pytest.param({"ParameterRanges": ranges(x=(2, 1))}, "MinValue 2 is greater", id="empty range"),
        pytest.param(
            {"HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "speed"}},
            "speed is not among the MetricDefinitions",
            id="unknown objective",
        ),
        pytest.param({"Strategy": "Grid"}, "not Grid", id="strategy"),
    ],
)
def test_requests_that_are_refused(region: Region, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message):
        start(region, **changes)
