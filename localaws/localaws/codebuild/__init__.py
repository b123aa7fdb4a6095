"""CodeBuild: builds run their buildspec's commands for real; what stands in for Docker only keeps the books."""
