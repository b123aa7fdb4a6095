"""Ask Athena how a query is doing."""
