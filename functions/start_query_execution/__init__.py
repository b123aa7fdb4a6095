"""Start the source SQL in Athena."""
