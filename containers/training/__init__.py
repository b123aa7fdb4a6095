"""The training image: fits and evaluates the forecast of a user's visit hour."""
