"""State "Ask for approval": an e-mail with two links, and a task that waits for one of them."""
