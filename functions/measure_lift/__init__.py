"""How many more visits the pushes cause than no push, from sums per arm."""
