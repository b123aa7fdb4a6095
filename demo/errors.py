"""The one exception that the demo shows as a message instead of a traceback."""

from __future__ import annotations


class DemoError(Exception):
    """Something went wrong that the person at the terminal can act on.

    Parameters
    ----------
    headline : str
        What went wrong, in one short sentence.
    cause : str
        What shows it.
    remedy : str
        What to do about it.
    """

    def __init__(self, headline: str, cause: str, remedy: str) -> None:
        super().__init__(f"{headline}\n{cause}\n{remedy}")
        self.headline = headline
        self.cause = cause
        self.remedy = remedy
