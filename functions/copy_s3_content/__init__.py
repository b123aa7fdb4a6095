"""Copy the query result to the run's input file."""
