"""Step Functions: what moto's interpreter of Amazon States Language lacks."""
