"""The browser console: the runs, models, forecasts, send plans and lift of one stack, read by boto3 alone."""

import signal
import sys

# Python is looking for the module of a command: nothing runs yet that Ctrl-C would have to stop or to explain.
if sys.argv[0] == "-m" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
