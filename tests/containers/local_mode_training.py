"""A program for an interpreter that has SageMaker's SDK: train in local mode.

python local_mode_training.py <image> <dataset folder> <working folder> <hyperparameters as JSON>
"""

from __future__ import annotations

import json
import sys


def main(image: str, dataset: str, folder: str, hyperparameters: str) -> None:
    """Train; the SDK leaves the model in ``compressed_artifacts/`` of the working folder."""
    import boto3
    from sagemaker.core.helper.session_helper import Session
    from sagemaker.train import ModelTrainer
    from sagemaker.train.configs import Compute, InputData
    from sagemaker.train.model_trainer import Mode

    trainer = ModelTrainer(
        training_image=image,
        training_mode=Mode.LOCAL_CONTAINER,
        compute=Compute(instance_type="local_cpu", instance_count=1),
        hyperparameters=json.loads(hyperparameters),
        local_container_root=folder,
        # Neither is used, and both are asked for.
        role="arn:aws:iam::123456789012:role/any",
        sagemaker_session=Session(boto3.Session("none", "none", region_name="eu-central-1")),
    )
    trainer.train(input_data_config=[InputData(channel_name="dataset", data_source=dataset)])


if __name__ == "__main__":
    main(*sys.argv[1:])
