"""The preprocessing image: visits CSV in, dataset and fitted transformer out."""
