"""Lambda: deployed functions run in processes that stay loaded between invocations."""
