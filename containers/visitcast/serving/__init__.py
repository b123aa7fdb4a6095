"""The serving image: forecasts over HTTP for an endpoint and for batch transform, without TensorFlow or scikit-learn.

``formats`` names media types, ``json_requests`` reads bodies, ``histories`` converts them to arrays,
``answers`` writes forecasts, and ``scoring`` goes the whole way from bodies to answers. ``batching`` joins requests
that arrive together, ``application`` is the web application, ``server`` runs it, with ``processes`` on all ``cores``.
"""
