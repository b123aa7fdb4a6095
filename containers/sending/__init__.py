"""The sending image: requests for the batch transform, and from its forecasts a checked table and a send plan."""
