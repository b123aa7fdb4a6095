"""Custom resource that has the container images built in the account."""
