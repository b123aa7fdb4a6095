"""Checks of requests against the model of a service, which botocore has of every AWS API."""
