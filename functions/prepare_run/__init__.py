"""First state of the training workflow: a validated input, defaults and names for one run."""
