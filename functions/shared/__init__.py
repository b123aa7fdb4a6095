"""What several handlers need. Handlers import nothing else of one another."""
