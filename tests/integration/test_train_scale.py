"""The same workflow for more data and with a search: Parquet, two preprocessing instances, tuned hyperparameters."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from deployed_stack import QUICK, Execution, Production, Stack, requested

# The gate's limit ends the run before the endpoint: these tests are about what comes before it.
SCALED: dict[str, Any] = QUICK | {
    "SourceSql": {"Format": "parquet"},
    "Preprocessing": {"InstanceCount": 2},
    "Tuning": {"MaxJobs": 2, "IntegerRanges": {}, "ContinuousRanges": {"dropout": {"Min": 0.0, "Max": 0.5}}},
    "Gate": {"MustBeat": [], "MaxMaeHours": 0.01},
}


@pytest.fixture(scope="module")
def scaled(stack: Stack, production: Production) -> Execution:
    """A run in which the search's trials train; the training with the best hyperparameters is replayed."""
    production.replay("train", after=SCALED["Tuning"]["MaxJobs"])
    return stack.run(SCALED)


def run_of(execution: Execution) -> dict[str, Any]:
    run: dict[str, Any] = execution.outputs_of("Prepare run")[0]["run"]
    return run


def days_by_user(stack: Stack, run: dict[str, Any]) -> dict[str, list[list[int]]]:
    """Return of each user the columns of all visit days, from all shards of a run's dataset."""
    found = {}
    for shard in stack.read_json(f"{run['Uris']['Dataset']}/manifest.json")["shards"]:
        content = np.load(io.BytesIO(stack.read(f"{run['Uris']['Dataset']}/{shard['file']}")))
        names = sorted(set(content.files) - {"user_ids", "offsets"})
        for user, start, end in zip(content["user_ids"], content["offsets"], content["offsets"][1:], strict=False):
            found[str(user)] = [content[name][start:end].tolist() for name in names]
    return found


def test_two_instances_make_the_dataset_that_one_makes(stack: Stack, production: Production, scaled: Execution) -> None:
    assert scaled.end_state == "Model rejected", f"{scaled.error}: {scaled.cause}"
    assert "Combine dataset" in scaled.states
    assert "Copy source file" not in scaled.states
    one, two = run_of(production.execution), run_of(scaled)

    prefix = two["InputFilePath"].removeprefix(f"s3://{stack.bucket}/")
    histories = stack.keys(prefix)
    assert len(histories) > 20
    assert all(key.removeprefix(prefix).startswith("bucket=") for key in histories)

    manifests = [stack.read_json(f"{run['Uris']['Dataset']}/manifest.json") for run in (one, two)]
    assert manifests[0]["counts"] == manifests[1]["counts"]
    assert manifests[0]["cut_offs"] == manifests[1]["cut_offs"]
    assert len(manifests[1]["shards"]) == 2
    assert days_by_user(stack, one) == days_by_user(stack, two)


def test_the_best_hyperparameters_train_the_model(stack: Stack, scaled: Execution) -> None:
    tuned = scaled.outputs_of("Tune hyperparameters")[0]["run"]["Tuned"]
    trials = stack.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=tuned["HyperParameterTuningJobName"]
    )["TrainingJobSummaries"]
    losses = {
        trial["TunedHyperParameters"]["dropout"]: trial["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
        for trial in trials
    }
    assert len(losses) == 2
    best = min(losses, key=lambda dropout: losses[dropout])
    assert tuned["Hyperparameters"] == {"dropout": best}
    assert tuned["ValidationLogLoss"] == pytest.approx(losses[best])

    (training,) = [request["HyperParameters"] for request in requested(scaled, "createTrainingJob")]
    assert training == {"epochs": "1", "units": "8", "fold": "0", "folds": "0", "dropout": best}


def test_a_tuning_job_without_success_ends_the_run_by_name(stack: Stack, production: Production) -> None:
    production.replay("preprocess")
    stack.order_fault(image="training", match="tune-", argv=["python", "-c", "raise SystemExit(1)"], times=2)
    execution = stack.run(SCALED | {"SourceSql": {}, "Preprocessing": {}})
    assert (execution.status, execution.end_state) == ("FAILED", "Tuning failed")
    assert "No training job succeeded" in execution.cause
