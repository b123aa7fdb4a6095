"""Find the model in production, and the references that its forecasts are compared with."""
