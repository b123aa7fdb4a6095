"""Names and S3 addresses of one run, as pure functions of the input and the execution."""

from __future__ import annotations

from typing import Any

from functions.prepare_run.deployment import Deployment
from functions.prepare_run.tuning import plan_tuning, tuning_job_name
from functions.shared.run_id import run_id

# SageMaker's limit is 63 characters; the state machine appends -<attempt>-<8 characters>.
LONGEST_BASE_NAME = 50

# Format of the source SQL's result: the SQL file, and where in the run's input folder the result goes.
SOURCES = {"csv": ("own_visits.sql", "visits.csv"), "parquet": ("histories.sql", "histories/")}


# Hyperparameters that select the rows to train on: all of the protocol's.
FULL_SPLIT = {"fold": "0", "folds": "0"}


def plan_run(
    execution_input: dict[str, Any], *, execution_id: str, started_at: str, deployment: Deployment
) -> dict[str, Any]:
    """Plan one run.

    Parameters
    ----------
    execution_input
        Validated, with all defaults.
    execution_id
        ARN of the execution.
    started_at
        Its start time, ISO-8601 in UTC.
    deployment
        What the stack was deployed with.

    Returns
    -------
    dict
        ``RunId``, ``Names``, ``InputFilePath`` (a prefix when the visits are Parquet), ``Uris``, ``Keys``,
        ``Hyperparameters`` (strings, as SageMaker requires), ``CrossValidation`` (``Folds``, and for each fold its job
        name and differing hyperparameters), ``Tuning``, ``Tuned`` (hyperparameters that were found),
        ``Evaluation.Arguments`` and ``.FoldsUri``, and the input's other sections unchanged.
    """
    run = run_id(execution_id, started_at)
    prefix = f"runs/{run}"
    root = f"s3://{deployment.bucket}/{prefix}"
    hyperparameters = {name: _as_text(value) for name, value in execution_input["Hyperparameters"].items()}
    if most := execution_input["Training"]["MaxTrainingUsers"]:
        hyperparameters["max_training_users"] = str(most)
    training_job = execution_input.get("TrainingJobName", f"visitcast-train-{run}")
    preprocessing_job = execution_input.get("PreprocessingJobName", f"visitcast-preprocess-{run}")
    sql_file, result = SOURCES[execution_input["SourceSql"]["Format"]]
    folds = execution_input["CrossValidation"]["Folds"]
    return {
        "RunId": run,
        "Names": {
            "PreprocessingJobName": preprocessing_job,
            "CombineJobName": _with_suffix(preprocessing_job, "-combine"),
            "TuningJobName": tuning_job_name(run),
            "TrainingJobName": training_job,
            "EvaluationProcessingJobName": execution_input.get(
                "EvaluationProcessingJobName", f"visitcast-evaluate-{run}"
            ),
            "ModelName": execution_input.get("ModelName", f"visitcast-{run}").lower(),
            "EndpointConfigName": execution_input.get("ModelName", f"visitcast-{run}").lower(),
            "EndpointName": execution_input.get("EndpointName", deployment.endpoint_name),
        },
        "InputFilePath": execution_input.get("InputFilePath", f"{root}/input/{result}"),
        "Uris": {
            "Dataset": f"{root}/dataset",
            "Tuning": f"{root}/tuning",
            "Models": f"{root}/models",
            "Folds": f"{root}/folds",
            "Checkpoints": f"{root}/checkpoints/train",
            "Evaluation": f"{root}/evaluation",
        },
        "Keys": {"Evaluation": f"{prefix}/evaluation/evaluation.json", "Input": f"{prefix}/input/{result}"},
        "SourceSql": {**execution_input["SourceSql"], "File": sql_file},
        "CrossValidation": _folds(folds, training_job, f"{root}/checkpoints"),
        "Hyperparameters": {**hyperparameters, **FULL_SPLIT},
        "Tuning": plan_tuning(execution_input["Tuning"], {**hyperparameters, **FULL_SPLIT}),
        # The search replaces it; without a search the run's own values stay.
        "Tuned": {"Hyperparameters": {}},
        # The environment of a processing job holds strings only.
        "Preprocessing": {
            **execution_input["Preprocessing"],
            "MaxInputBytes": str(execution_input["Preprocessing"]["MaxInputBytes"]),
            "Cluster": deployment.cluster(execution_input["Preprocessing"]),
            "CombineCluster": deployment.cluster(execution_input["Preprocessing"], 1),
        },
        "Training": deployment.training(execution_input["Training"]),
        "Evaluation": {
            **execution_input["Evaluation"],
            "Cluster": deployment.cluster(execution_input["Evaluation"], 1),
            "Arguments": evaluation_arguments(execution_input["Gate"], execution_input["Evaluation"]),
            # JSONPath cannot leave out a processing input: without folds it is a file that always exists.
            "FoldsUri": f"{root}/folds" if folds else f"{root}/dataset/manifest.json",
        },
        "Approval": deployment.approval(execution_input["Approval"]),
        "Endpoint": deployment.endpoint(execution_input["Endpoint"]),
        "NetworkConfig": deployment.network.processing_config(),
        "VpcConfig": deployment.network.vpc_config(),
        # Training jobs name it where there is no VpcConfig; this is its default, and a job has one instance.
        "EnableInterContainerTrafficEncryption": False,
    }


def evaluation_arguments(gate: dict[str, Any], evaluation: dict[str, Any]) -> list[str]:
    """Return both sections of the input as arguments of the evaluation container; SageMaker takes strings only."""
    return [
        "evaluate",
        "--max-rmse-hours",
        _or_none(gate["MaxRmseHours"]),
        "--max-mae-hours",
        _or_none(gate["MaxMaeHours"]),
        "--must-beat",
        ",".join(gate["MustBeat"]) or "none",
        "--must-hold-in-cross-validation",
        _as_text(gate["MustHoldInCrossValidation"]),
        "--non-inferiority-margin",
        _as_text(gate["NonInferiorityMarginNats"]),
        "--kept-lead-share",
        _as_text(gate["KeptLeadShare"]),
        "--article-model-epochs",
        _as_text(evaluation["ArticleModelEpochs"]),
    ]


def _folds(folds: int, training_job: str, checkpoints: str) -> dict[str, Any]:
    def item(fold: int) -> dict[str, Any]:
        return {
            "TrainingJobName": _with_suffix(training_job, f"-f{fold}"),
            "Hyperparameters": {"fold": str(fold), "folds": str(folds)},
            "CheckpointsUri": f"{checkpoints}/fold-{fold}",
        }

    return {"Folds": folds, "Items": [item(fold) for fold in range(1, folds + 1)]}


def _with_suffix(name: str, suffix: str) -> str:
    """Shorten a base name so that a suffix fits."""
    return name[: LONGEST_BASE_NAME - len(suffix)].rstrip("-") + suffix


def _or_none(limit: float | None) -> str:
    return "none" if limit is None else _as_text(limit)


def _as_text(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
