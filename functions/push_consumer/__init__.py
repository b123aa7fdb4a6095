"""Sample consumer of the queue: passes each push once to a pluggable sender."""
