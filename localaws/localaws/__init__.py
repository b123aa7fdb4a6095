"""An AWS region on this machine: moto as the control plane, real engines behind it.

Pointed at the region's endpoint, the AWS command line, boto3 and ``sam deploy`` work as they do on AWS:
stacks are created, handlers run as subprocesses, state machines run SageMaker jobs and Athena queries for real.
"""
