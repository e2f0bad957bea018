"""What all tests share: hypothesis draws the same cases on every machine, and no test is judged by its time."""

from hypothesis import settings

settings.register_profile("deeprnn", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("deeprnn")
