"""Point the tables of a date to the files of a run that passed every check."""
