"""First state of the forecast workflow: a validated input, names, places and the SQL of one run."""
