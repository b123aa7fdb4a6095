"""Features of a visit day and of a day to forecast, defined once for training, evaluation, endpoint and batch."""
