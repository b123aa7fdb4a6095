"""The serving image: forecasts over HTTP for an endpoint and for batch transform, without TensorFlow or scikit-learn.

``formats`` names media types, ``requests`` reads bodies (``json_requests``, ``csv_requests``), ``histories`` makes
arrays of them, ``answers`` writes forecasts, ``application`` joins them to a web application, ``server`` runs it.
"""
