"""The demonstration: put events into the bucket, run the training workflow, show what came out."""
