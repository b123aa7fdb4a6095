"""The preprocessing image: visits in, dataset and fitted transformer out."""
