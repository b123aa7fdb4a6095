"""Settings of a training run that contradict one another. JSON Schema could express the rules, but not in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from functions.shared.instances import LOCAL_STORAGE, unusable_types


def contradictions(execution_input: dict[str, Any]) -> Iterator[str]:
    """Return the keys that contradict one another, each with its remedy; the input has its defaults."""
    is_csv = execution_input["SourceSql"]["Format"] == "csv"
    instances = execution_input["Preprocessing"]["InstanceCount"]
    if is_csv and instances > 1:
        yield (
            f"Preprocessing.InstanceCount: {instances} instances cannot share the one CSV file; "
            "set SourceSql.Format to parquet, or InstanceCount to 1"
        )
    if not is_csv and "InputFilePath" in execution_input:
        yield "InputFilePath: names one CSV file, but SourceSql.Format is parquet; leave InputFilePath out"
    if execution_input["Tuning"]["MaxJobs"]:
        yield from _of_ranges(execution_input["Tuning"], execution_input["Hyperparameters"])
    if execution_input["Gate"]["MustHoldInCrossValidation"] and not execution_input["CrossValidation"]["Folds"]:
        yield "Gate.MustHoldInCrossValidation: there is no cross-validation; set CrossValidation.Folds to 2 or more"
    if "article_gru" in execution_input["Gate"]["MustBeat"] and not execution_input["Evaluation"]["ArticleModelEpochs"]:
        yield "Gate.MustBeat: article_gru is not fitted; set Evaluation.ArticleModelEpochs to 20, or leave it out"
    yield from unusable_types(execution_input)
    endpoint_type = execution_input["Endpoint"]["InstanceType"]
    # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpointConfig.html, KmsKeyId
    if LOCAL_STORAGE.match(endpoint_type):
        yield (
            f"Endpoint.InstanceType: {endpoint_type} has a disk of its own, and SageMaker refuses a key for it; "
            "every endpoint config of this stack has one. Choose a type without such a disk, such as ml.m5.large"
        )


def _of_ranges(tuning: dict[str, Any], hyperparameters: dict[str, Any]) -> Iterator[str]:
    integers, continuous = tuning["IntegerRanges"], tuning["ContinuousRanges"]
    for name, limits in (*integers.items(), *continuous.items()):
        if limits["Min"] > limits["Max"]:
            yield f"Tuning: the range of {name} is empty, Min {limits['Min']} is greater than Max {limits['Max']}"
    for name in sorted(integers.keys() & continuous.keys()):
        yield f"Tuning: {name} is both in IntegerRanges and in ContinuousRanges"
    if not (integers.keys() | continuous.keys()) - hyperparameters.keys():
        yield "Tuning: Hyperparameters fixes all that has a range; leave one of them out, or set MaxJobs to 0"
