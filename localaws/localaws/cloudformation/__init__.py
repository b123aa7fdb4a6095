"""CloudFormation: stacks that are deployed, updated, rolled back and deleted."""
