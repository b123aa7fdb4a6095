"""The forecast workflow's jobs: requests for the batch transform, then a checked table and a send plan."""
