"""Which model is in production, and what a forecast by it is measured against."""
