"""An AWS region on one machine: the APIs are moto's, and what moto only pretends to do really runs.

The AWS command line, boto3 and ``sam deploy`` work against the region's endpoint as they do against AWS: stacks are
deployed, functions run in processes, and state machines run SageMaker jobs and Athena queries.
"""
