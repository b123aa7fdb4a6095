"""A user's own log of events: read any export, convert it to the events table, and report what it holds."""
