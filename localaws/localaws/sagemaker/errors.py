"""How a job or an endpoint fails once it was accepted."""


class JobError(Exception):
    """A job or endpoint cannot go on; the text is its FailureReason."""


class AlgorithmError(JobError):
    """The container ended with an exit code other than 0.

    Attributes
    ----------
    exit_code
        As a container's: 128 plus the signal's number when a signal ended it.
    """

    def __init__(self, reason: str, exit_code: int) -> None:
        super().__init__(reason)
        self.exit_code = exit_code
