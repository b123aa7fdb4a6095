"""Put the SQL files of a deployment into the bucket."""
