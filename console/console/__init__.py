"""The browser console: the runs, models, forecasts, send plans and lift of one stack, read by boto3 alone."""
