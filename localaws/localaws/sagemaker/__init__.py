"""SageMaker: jobs and endpoints that run the entry point of their image in processes."""
