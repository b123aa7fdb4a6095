"""The models: the network, the baselines, their mixture, and the bundle that holds a fitted model."""
