"""What all tests share: hypothesis draws the same cases on every machine, and no test is judged by its time."""

import signal

from hypothesis import settings

settings.register_profile("deeprnn", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("deeprnn")

# A job in the background of a shell ignores Ctrl-C, and so would the processes that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
