"""The warning that something about a file should be known, though it can be used."""


class Note(UserWarning):
    """Something about a file that its reader should know; it stops nothing. Commands print it."""
