"""SageMaker on this machine: jobs and endpoints as processes of the image's own entry point."""
