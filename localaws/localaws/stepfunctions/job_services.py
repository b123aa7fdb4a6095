"""The optimized integrations of SageMaker and Athena.

Their actions, and which of them support ``.sync``, are from the Step Functions Developer Guide, "Integrating optimized
services": https://docs.aws.amazon.com/step-functions/latest/dg/integrate-optimized.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from localaws.stepfunctions.job_task import Job, JobTask


def _sagemaker_job(kind: str) -> Job:
    method = re.sub(r"(?<!^)(?=[A-Z])", "_", kind).lower()
    return Job(
        identifier=f"{kind}JobName",
        from_response=False,
        describe=f"describe_{method}_job",
        stop=f"stop_{method}_job",
        status=lambda description: str(description[f"{kind}JobStatus"]),
        detail=lambda description: description,
        succeeded=frozenset({"Completed"}),
        failed=frozenset({"Failed", "Stopped"}),
    )


class SageMakerTask(JobTask):
    """``arn:aws:states:::sagemaker:*``."""

    service = "sagemaker"
    prefix = "SageMaker"
    unmodelled = "AmazonSageMakerException"
    jobs: ClassVar[Mapping[str, Job]] = {
        "create_training_job": _sagemaker_job("Training"),
        "create_processing_job": _sagemaker_job("Processing"),
        "create_transform_job": _sagemaker_job("Transform"),
        "create_hyper_parameter_tuning_job": _sagemaker_job("HyperParameterTuning"),
    }
    actions = frozenset({*jobs, "create_model", "create_endpoint_config", "create_endpoint", "update_endpoint"})
    # The Developer Guide listed these two, and AWS CDK's SageMakerUpdateEndpoint has no others. Use aws-sdk for more.
    fields: ClassVar[Mapping[str, frozenset[str]]] = {
        "update_endpoint": frozenset({"EndpointName", "EndpointConfigName"})
    }


class AthenaTask(JobTask):
    """``arn:aws:states:::athena:*``."""

    service = "athena"
    prefix = "Athena"
    unmodelled = "AmazonAthenaException"
    jobs: ClassVar[Mapping[str, Job]] = {
        "start_query_execution": Job(
            identifier="QueryExecutionId",
            from_response=True,
            describe="get_query_execution",
            stop="stop_query_execution",
            status=lambda description: str(description["QueryExecution"]["Status"]["State"]),
            detail=lambda description: description["QueryExecution"],
            succeeded=frozenset({"SUCCEEDED"}),
            failed=frozenset({"FAILED", "CANCELLED"}),
        )
    }
    actions = frozenset({*jobs, "stop_query_execution", "get_query_execution", "get_query_results"})
