"""Lambda: deployed handlers run for real, in processes that stay loaded between invocations."""
