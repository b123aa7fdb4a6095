"""The training workflow from events to an endpoint that answers."""

from __future__ import annotations

import json
import re

import pytest
from deployed_stack import QUICK, Execution, Production, Stack

HAPPY_PATH = """
Prepare run; Run source SQL; Wait for source SQL; Get source SQL status; Is the source SQL complete?; Copy source file;
Preprocess; Is cross-validation wanted?; Train; Find production endpoint; Evaluate; Read evaluation;
Is the model good enough?; Save model; Create endpoint config; Does the endpoint exist?; Wait for endpoint;
Get endpoint status; Is the endpoint in service?; Pipeline succeeded
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
    assert {"No production model", "Create endpoint"} <= set(execution.states)
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
        "article_gru",
    }
    assert evaluation["gate"]["passed"]
    assert evaluation["production"] is None
    assert evaluation["data"]["test_rows"] > 0


def test_second_run_survives_quota_and_taken_names_and_updates_the_endpoint(
    stack: Stack, production: Production
) -> None:
    old_config = production.config()
    stack.order_fault(service="sagemaker", operation="CreateTrainingJob", error="ResourceLimitExceeded", times=2)
    stack.order_fault(service="sagemaker", operation="CreateProcessingJob", error="ResourceInUse", times=1)
    execution = stack.run(QUICK | {"TrainingJobName": "nightly", "PreprocessingJobName": "visits"})
    assert execution.status == "SUCCEEDED", f"{execution.end_state}: {execution.error}: {execution.cause}"
    assert "Update endpoint" in execution.states
    assert "Create endpoint" not in execution.states

    training = requested_names(execution, "TrainingJobName")
    assert [name.rsplit("-", 1)[0] for name in training] == ["nightly-0", "nightly-1", "nightly-2"]
    preprocessing = [n for n in requested_names(execution, "ProcessingJobName") if n.startswith("visits-")]
    assert len(preprocessing) == len(set(preprocessing)) == 2
    assert all(re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", name) for name in training + preprocessing)

    config = execution.outputs_of("Create endpoint config")[0]["endpoint_config"]["EndpointConfigName"]
    assert production.config() == config != old_config
    run = execution.outputs_of("Prepare run")[0]["run"]
    evaluation = stack.read_json(run["Uris"]["Evaluation"] + "/evaluation.json")
    assert evaluation["production"]["endpoint_config"] == old_config
    assert production.forecast()["user_id"]


def test_cross_validation_trains_one_job_per_rolling_origin_fold(stack: Stack, production: Production) -> None:
    # The gate's limit ends the run before the endpoint: this test is about the folds.
    execution = stack.run(QUICK | {"CrossValidation": {"Folds": 2}, "Gate": {"MaxMaeHours": 0.01}})
    assert execution.end_state == "Model rejected"
    folds = execution.outputs_of("Cross-validate")[0]["cross_validation"]
    metrics = [{metric["MetricName"]: metric["Value"] for metric in fold["Metrics"]} for fold in folds]
    assert len(metrics) == 2
    assert all(0 < m["fold:log_loss"] < 10 and 0 < m["fold:mae_hours"] < 24 for m in metrics)
    assert metrics[0] != metrics[1]

    run = execution.outputs_of("Prepare run")[0]["run"]
    reported = stack.read_json(run["Uris"]["Evaluation"] + "/evaluation.json")["cross_validation"]
    assert [fold["fold"] for fold in reported["folds"]] == [1, 2]
    assert [fold["model"]["log_loss"] for fold in reported["folds"]] == pytest.approx(
        [m["fold:log_loss"] for m in metrics], abs=1e-4
    )
