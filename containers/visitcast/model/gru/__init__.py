"""The network: a GRU over a user's visit days. TensorFlow trains it, ONNX Runtime runs it."""
