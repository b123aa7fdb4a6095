"""How many more users come after a push at their own best hour than in the control group."""
