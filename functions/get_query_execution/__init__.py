"""Get the state of a query from Athena."""
