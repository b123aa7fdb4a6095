"""SageMaker on this machine: jobs and endpoints as processes of the image's own entry point."""

from localaws.sagemaker.install import install

__all__ = ["install"]
