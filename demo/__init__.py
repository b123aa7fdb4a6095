"""The demonstration: put events into the bucket, run the workflows, show what came out."""
