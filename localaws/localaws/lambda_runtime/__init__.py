"""Lambda: deployed handlers run for real, each invocation in a process of its own."""
