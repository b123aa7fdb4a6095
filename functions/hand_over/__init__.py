"""Send the messages of a send plan to the queue."""
