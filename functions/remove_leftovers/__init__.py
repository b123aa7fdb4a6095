"""Custom resource: what the state machine made goes when the stack does."""
