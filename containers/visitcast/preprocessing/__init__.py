"""The preprocessing job: visits in, dataset and fitted transformer out."""
