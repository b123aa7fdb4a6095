"""Custom resource that deletes what the state machine made when the stack is deleted."""
