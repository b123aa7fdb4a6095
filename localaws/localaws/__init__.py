"""An AWS region on one machine: the APIs are moto's, and what moto only pretends to do really runs.

The AWS command line, boto3 and ``sam deploy`` work against the region's endpoint as they do against AWS: stacks are
deployed, functions run in processes, and state machines run SageMaker jobs and Athena queries.
"""

import signal
import sys

# Python is looking for the module of a command: nothing runs yet that Ctrl-C would have to stop or to explain.
if sys.argv[0] == "-m" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
