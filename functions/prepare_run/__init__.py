"""First state of the training workflow: validate the input and plan the run."""
