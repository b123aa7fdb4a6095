"""From a trained model and users' visit days to forecasts, in NumPy: evaluation and serving share it.

``bundle`` is the model artifact, ``forecaster`` makes forecasts of it: ``rows`` and ``sequences`` lay out what the
network reads, ``inference`` is its forward pass, ``mixture`` weighs network and histogram.
"""
