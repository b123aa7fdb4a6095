"""The training image: fits, evaluates and serves the forecast of a user's visit hour."""
