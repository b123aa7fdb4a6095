"""Sample consumer of the queue: each push goes once to a sender that is plugged in."""
