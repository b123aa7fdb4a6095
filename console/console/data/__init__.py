"""What the pages show, read from AWS by boto3."""
