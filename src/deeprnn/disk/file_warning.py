"""The warning about a file that can be used all the same."""


class FileWarning(UserWarning):
    """Something about a file that its reader should know; it stops nothing. Commands print it."""
