"""The evaluation job: metrics with intervals, comparison with the baselines and with production, gate and report."""
