"""Errors of jobs and endpoints after their creation."""


class JobError(Exception):
    """A job or endpoint has failed. The message is its FailureReason."""


class AlgorithmError(JobError):
    """The container ended with an exit code other than 0.

    Attributes
    ----------
    exit_code
        Exit code of the container: 128 plus the number of the signal if a signal ended it.
    """

    def __init__(self, reason: str, exit_code: int) -> None:
        super().__init__(reason)
        self.exit_code = exit_code
