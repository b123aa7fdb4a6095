"""What the images share. No TensorFlow here.

In the order of the data: ``visits_csv`` reads and checks files (``validation``, ``rules``), ``dataset`` holds visit
days as flat arrays, ``protocol`` parts them by date, ``histograms`` and ``features`` describe them, ``baselines``
forecast without a network, ``forecasting`` with one, ``metrics`` judge. ``schema`` names columns, ``paths`` and
``contract`` know SageMaker.
"""
