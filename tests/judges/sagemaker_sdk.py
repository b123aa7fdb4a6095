"""A program for an interpreter that has SageMaker's SDK: what a notebook does, against whatever AWS_* leads to.

    python sagemaker_sdk.py <registry> <bucket> <role>

The bucket holds visits/visits.csv and request.json. Prints one line of JSON for each step: its name, seconds, result.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import boto3
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.parameter import ContinuousParameter
from sagemaker.core.processing import Processor
from sagemaker.core.resources import Endpoint, EndpointConfig, Model, ModelPackage, ModelPackageGroup
from sagemaker.core.shapes import (
    ContainerDefinition,
    OutputDataConfig,
    ProcessingInput,
    ProcessingOutput,
    ProcessingS3Input,
    ProcessingS3Output,
    ProductionVariant,
)
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData
from sagemaker.train.tuner import HyperparameterTuner

REGISTRY, BUCKET, ROLE = sys.argv[1:]
SESSION = Session(boto3.Session())
DATASET, NAME = f"s3://{BUCKET}/dataset", "by-the-sdk"
VALIDATION_LOG_LOSS = "final:validation_log_loss"


def main() -> None:
    """Run every step."""
    step("processor", process)
    model = step("trainer", train)
    step("tuner", tune)
    step("endpoint", lambda: serve(model))
    step("invoke", invoke)
    step("registry", lambda: approve(model))


def step(name: str, run: Callable[[], Any]) -> Any:
    start = time.monotonic()
    result = run()
    print(json.dumps({"step": name, "seconds": round(time.monotonic() - start, 1), "result": result}), flush=True)
    return result


def process() -> str:
    visits = ProcessingS3Input(
        s3_uri=f"s3://{BUCKET}/visits/",
        local_path="/opt/ml/processing/input/visits",
        s3_data_type="S3Prefix",
        s3_input_mode="File",
    )
    dataset = ProcessingS3Output(
        s3_uri=DATASET, local_path="/opt/ml/processing/output/dataset", s3_upload_mode="EndOfJob"
    )
    processor = Processor(
        role=ROLE,
        image_uri=f"{REGISTRY}/preprocessing:1",
        instance_count=1,
        instance_type="ml.m5.xlarge",
        base_job_name=NAME,
        env={"VISITCAST_AS_OF": "2026-11-23T12:00:00Z"},
        sagemaker_session=SESSION,
    )
    processor.run(
        inputs=[ProcessingInput(input_name="visits", s3_input=visits)],
        outputs=[ProcessingOutput(output_name="dataset", s3_output=dataset)],
        arguments=["preprocess"],
        logs=False,
    )
    processor.latest_job.refresh()
    return str(processor.latest_job.processing_job_status)


def trainer() -> ModelTrainer:
    return ModelTrainer(
        training_image=f"{REGISTRY}/training:1",
        role=ROLE,
        base_job_name=NAME,
        compute=Compute(instance_type="ml.m5.xlarge", instance_count=1, volume_size_in_gb=30),
        hyperparameters={"epochs": 1, "units": 8},
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{BUCKET}/models"),
        sagemaker_session=SESSION,
    )


def train() -> str:
    fitted = trainer()
    fitted.train(input_data_config=[InputData(channel_name="dataset", data_source=DATASET)], wait=True, logs=True)
    job = fitted._latest_training_job
    job.refresh()
    assert job.training_job_status == "Completed", job
    return str(job.model_artifacts.s3_model_artifacts)


def tune() -> dict[str, Any]:
    tuner = HyperparameterTuner(
        model_trainer=trainer(),
        objective_metric_name=VALIDATION_LOG_LOSS,
        hyperparameter_ranges={"learning_rate": ContinuousParameter(0.001, 0.01)},
        metric_definitions=[{"Name": VALIDATION_LOG_LOSS, "Regex": "final_validation_log_loss=([0-9.]+)"}],
        objective_type="Minimize",
        strategy="Random",
        max_jobs=2,
        max_parallel_jobs=2,
        base_tuning_job_name="sdk",
    )
    tuner.tune(inputs=[InputData(channel_name="dataset", data_source=DATASET)], wait=True)
    job = tuner.latest_tuning_job
    job.refresh()
    return {
        "status": job.hyper_parameter_tuning_job_status,
        "completed": job.training_job_status_counters.completed,
        "best": tuner.best_training_job(),
    }


def serve(model: str) -> str:
    container = ContainerDefinition(image=f"{REGISTRY}/serving:1", model_data_url=model)
    Model.create(model_name=NAME, primary_container=container, execution_role_arn=ROLE)
    variant = ProductionVariant(
        variant_name="all", model_name=NAME, initial_instance_count=1, instance_type="ml.t2.medium"
    )
    EndpointConfig.create(endpoint_config_name=NAME, production_variants=[variant])
    endpoint = Endpoint.create(endpoint_name=NAME, endpoint_config_name=NAME)
    endpoint.wait_for_status("InService", poll=1)
    return str(Endpoint.get(NAME).endpoint_status)


def invoke() -> Any:
    request = boto3.client("s3").get_object(Bucket=BUCKET, Key="request.json")["Body"].read().decode()
    answer = Endpoint.get(NAME).invoke(body=request, content_type="application/json")
    return json.loads(answer.body.read())


def approve(model: str) -> dict[str, Any]:
    ModelPackageGroup.create(model_package_group_name=NAME)
    # By boto3, as the workflow does: ModelPackage.create of this SDK takes the InferenceSpecification of a model card.
    boto3.client("sagemaker").create_model_package(
        ModelPackageGroupName=NAME,
        InferenceSpecification={
            "Containers": [{"Image": f"{REGISTRY}/serving:1", "ModelDataUrl": model}],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
        ModelApprovalStatus="PendingManualApproval",
    )
    (listed,) = ModelPackage.get_all(model_package_group_name=NAME)
    package = ModelPackage.get(listed.model_package_arn)
    before = package.model_approval_status
    package.update(model_approval_status="Approved")
    return {"before": before, "after": ModelPackage.get(listed.model_package_arn).model_approval_status}


if __name__ == "__main__":
    main()
