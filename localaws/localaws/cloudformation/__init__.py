"""CloudFormation: stacks that are really deployed, updated, rolled back and deleted."""
