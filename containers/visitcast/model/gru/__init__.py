"""The network: a GRU over a user's visit days. TensorFlow trains it, ONNX Runtime runs it."""

import os

# Before TensorFlow is imported: its C++ start-up messages would fill a job's log.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
