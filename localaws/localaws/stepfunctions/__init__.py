"""Step Functions: what moto's interpreter and its API lack."""
