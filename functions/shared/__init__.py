"""Code that several handlers need. Handlers import nothing else from one another."""
