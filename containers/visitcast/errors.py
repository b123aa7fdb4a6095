"""The one exception whose text is written for the person who runs the pipeline."""

from __future__ import annotations

MESSAGE_LIMIT = 1024
"""SageMaker cuts FailureReason and ExitMessage after this many characters."""


class InputError(Exception):
    """Something the caller supplied is wrong and the caller can repair it.

    Parameters
    ----------
    headline : str
        What is wrong, in one short sentence.
    cause : str
        Which column, rule, rows or values show it.
    remedy : str
        What to do about it.
    """

    def __init__(self, headline: str, cause: str, remedy: str) -> None:
        super().__init__(headline, cause, remedy)
        self.headline = headline
        self.cause = cause
        self.remedy = remedy

    def __str__(self) -> str:
        """All three parts, at most ``MESSAGE_LIMIT`` characters; only the cause is ever shortened."""
        room = MESSAGE_LIMIT - len(self.headline) - len(self.remedy) - 2
        cause = self.cause if len(self.cause) <= room else self.cause[: max(room - 1, 0)] + "…"
        return f"{self.headline}\n{cause}\n{self.remedy}"[:MESSAGE_LIMIT]
