"""Write into the model registry how the deployment of a version ended."""
