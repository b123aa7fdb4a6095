"""Forecast at which hour every user of an app will visit.

Data flow one way: ``data`` (visits, dataset) -> ``features`` -> ``model`` -> ``forecasting`` -> ``training`` ->
``evaluation`` | ``sending`` | ``serving``. ``errors``, ``metrics``, ``paths`` and ``contract`` may be used by all.
"""
