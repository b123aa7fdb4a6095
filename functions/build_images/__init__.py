"""Custom resource that builds the container images in the account."""
