"""CodeBuild: builds that run the commands of their buildspec, with a stand-in for Docker."""
