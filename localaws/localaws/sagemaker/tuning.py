"""Hyperparameter tuning jobs: training jobs with random values from ranges.

Names, limits and counters are from the SageMaker API Reference, CreateHyperParameterTuningJob and
DescribeHyperParameterTuningJob. Each strategy is random search here.
"""

from __future__ import annotations

import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from moto.sagemaker.exceptions import ValidationError

from localaws.sagemaker import training
from localaws.sagemaker.context import Context
from localaws.sagemaker.errors import JobError
from localaws.sagemaker.instances import Outcome
from localaws.sagemaker.job import FINAL, Job
from localaws.sagemaker.parameter_ranges import draw, names

FAILURES_BEFORE_THE_END = 5
"""A tuning job fails after this many failed training jobs, if none has succeeded."""

OBJECTIVE_HYPERPARAMETER = "_tuning_objective_metric"
"""Hyperparameter with the name of the objective, which SageMaker adds to the training jobs."""

POLL_SECONDS = 0.1

StartTraining = Callable[[Mapping[str, Any]], Job]


def check(request: dict[str, Any], context: Context) -> dict[str, Any]:
    """Check a request and return the other parts of the job's description.

    Raises
    ------
    ValidationError
        Strategy, ranges, objective or the definition of the training jobs is not valid or not supported.
    """
    config = request["HyperParameterTuningJobConfig"]
    if config.get("Strategy") not in ("Random", "Bayesian"):
        raise ValidationError(f"The local region supports Strategy Random or Bayesian, not {config.get('Strategy')}.")
    definition = request.get("TrainingJobDefinition")
    if not definition:
        raise ValidationError("The local region requires one TrainingJobDefinition.")
    metrics = definition["AlgorithmSpecification"].get("MetricDefinitions") or []
    if (objective := config["HyperParameterTuningJobObjective"]["MetricName"]) not in [
        metric["Name"] for metric in metrics
    ]:
        raise ValidationError(f"Objective metric {objective} is not among the MetricDefinitions.")
    tuned = draw(config.get("ParameterRanges") or {}, random.Random(0))  # nosec B311 # only checks the ranges
    static = definition.get("StaticHyperParameters") or {}
    if not tuned:
        raise ValidationError("At least one parameter range must be specified.")
    if both := sorted(tuned.keys() & static.keys()):
        raise ValidationError(f"Hyperparameters are both static and in a range: {', '.join(both)}")
    training.check(_training_request(request, "check", tuned), context)
    static = {**static, OBJECTIVE_HYPERPARAMETER: objective}
    return {"TrainingJobDefinition": {**definition, "StaticHyperParameters": static}, **_progress(config, [])}


def run(job: Job, context: Context, folder: Path, *, start_training: StartTraining) -> Outcome:
    """Run a tuning job to its end.

    Raises
    ------
    JobError
        No training job succeeded. The message is the FailureReason.
    """
    del context, folder  # the training jobs have contexts and folders of their own
    config = job.request["HyperParameterTuningJobConfig"]
    limits = config["ResourceLimits"]
    wanted, parallel = int(limits["MaxNumberOfTrainingJobs"]), int(limits["MaxParallelTrainingJobs"])
    generator = random.Random(str(config.get("RandomSeed", job.name)))  # nosec B311 # a search, not a secret
    trials: list[Job] = []
    while not job.stop_requested.is_set():
        while len(trials) < wanted and len(_running(trials)) < parallel and not _is_hopeless(trials):
            name = f"{job.name}-{len(trials) + 1:03d}-{uuid.uuid4().hex[:8]}"
            trial = start_training(_training_request(job.request, name, draw(config["ParameterRanges"], generator)))
            trial.details["TuningJobArn"] = job.arn
            trials.append(trial)
        job.details.update(_progress(config, trials))
        if not _running(trials):
            break
        job.stop_requested.wait(POLL_SECONDS)
    for trial in trials:
        trial.stop()  # has no effect on those that have ended
    while _running(trials):
        time.sleep(POLL_SECONDS)
    job.details.update(_progress(config, trials))
    if job.stop_requested.is_set():
        return "Stopped"
    if "BestTrainingJob" not in job.details:
        raise JobError(
            f"No training job succeeded after {len(trials)} attempts. For additional details, please take a look at "
            "the training job failures by listing training jobs for the hyperparameter tuning job."
        )
    return "Completed"


def summary(config: Mapping[str, Any], trial: Job) -> dict[str, Any]:
    """Return the summary of a training job as in the description of its tuning job.

    Parameters
    ----------
    config
        HyperParameterTuningJobConfig.
    trial
        Training job.
    """
    wanted = config["HyperParameterTuningJobObjective"]
    value = _objective_value(config, trial)
    status = "Pending" if trial.status not in FINAL else "Failed" if value is None else "Succeeded"
    tuned = {name: trial.request["HyperParameters"][name] for name in names(config["ParameterRanges"])}
    described = {
        "TrainingJobName": trial.name,
        "TrainingJobArn": trial.arn,
        "CreationTime": trial.created,
        "TrainingStartTime": trial.started,
        "TrainingEndTime": trial.ended,
        "TrainingJobStatus": trial.status,
        "TunedHyperParameters": tuned,
        "FailureReason": trial.failure_reason,
        "FinalHyperParameterTuningJobObjectiveMetric": None if value is None else {**wanted, "Value": value},
        "ObjectiveStatus": status,
    }
    return {key: entry for key, entry in described.items() if entry is not None}


def _progress(config: Mapping[str, Any], trials: Sequence[Job]) -> dict[str, Any]:
    """Return the counters of a tuning job's description and, if there is one, its best training job."""
    states = Counter(trial.status for trial in trials)
    objectives = Counter(summary(config, trial)["ObjectiveStatus"] for trial in trials)
    progress: dict[str, Any] = {
        "TrainingJobStatusCounters": {
            "Completed": states["Completed"],
            "InProgress": states["InProgress"] + states["Stopping"],
            "RetryableError": 0,
            "NonRetryableError": states["Failed"],
            "Stopped": states["Stopped"],
        },
        "ObjectiveStatusCounters": {name: objectives[name] for name in ("Succeeded", "Pending", "Failed")},
    }
    scored = [(value, trial) for trial in trials if (value := _objective_value(config, trial)) is not None]
    if scored:
        choose = min if config["HyperParameterTuningJobObjective"]["Type"] == "Minimize" else max
        progress["BestTrainingJob"] = summary(config, choose(scored, key=lambda entry: entry[0])[1])
    return progress


def _objective_value(config: Mapping[str, Any], trial: Job) -> float | None:
    """Return the final value of the objective of a completed training job, or None if it has printed none."""
    if trial.status != "Completed":
        return None
    wanted = config["HyperParameterTuningJobObjective"]["MetricName"]
    metrics = trial.details.get("FinalMetricDataList", [])
    return next((metric["Value"] for metric in metrics if metric["MetricName"] == wanted), None)


def _training_request(request: Mapping[str, Any], name: str, tuned: Mapping[str, str]) -> dict[str, Any]:
    """Return the request of one training job."""
    definition = dict(request["TrainingJobDefinition"])
    static = definition.pop("StaticHyperParameters", {})
    objective = request["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["MetricName"]
    return {
        **definition,
        "TrainingJobName": name,
        "HyperParameters": {**static, OBJECTIVE_HYPERPARAMETER: objective, **tuned},
    }


def _running(trials: Sequence[Job]) -> list[Job]:
    return [trial for trial in trials if trial.status not in FINAL]


def _is_hopeless(trials: Sequence[Job]) -> bool:
    states = Counter(trial.status for trial in trials)
    return states["Failed"] >= FAILURES_BEFORE_THE_END and not states["Completed"]
