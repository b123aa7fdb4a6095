"""Upload the SQL files of a deployment to the bucket."""
