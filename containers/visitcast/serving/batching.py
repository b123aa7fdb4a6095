"""Compute requests that arrive at the same time together.

A forecast of one user takes some hundred small calls, of ten users hardly more. No request waits for a batch to fill:
a batch holds what can be read now. It is computed on the event loop itself, since handing one user to a thread and
back takes as long as the forecast.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from visitcast.serving.errors import RequestError
from visitcast.serving.scoring import Answer, Question

LARGEST_BATCH: Final = 64
"""Requests computed together."""
SMALL_BODY_BYTES: Final = 64 * 1024
"""A larger body has many users already: it is computed by itself, and small ones do not wait for it."""
LARGE_AT_ONCE: Final = 2
"""Large requests computed at once: two, so that a short request is not stuck behind a long one."""

ScoreTogether = Callable[[Sequence[Question]], list[Answer | RequestError]]
_Waiting = tuple[Question, asyncio.Future[Answer]]


class Batches:
    """Computes requests, many at a time.

    Parameters
    ----------
    score : callable
        Answers questions; an invalid one gets its error and does not affect the others.
    """

    def __init__(self, score: ScoreTogether) -> None:
        self._score = score
        self._waiting: list[_Waiting] = []
        self._for_large = ThreadPoolExecutor(LARGE_AT_ONCE)

    async def answer(self, question: Question) -> Answer:
        """Answer one question.

        Raises
        ------
        RequestError
            The request is not valid.
        """
        loop = asyncio.get_running_loop()
        if len(question.body) > SMALL_BODY_BYTES:
            (answer,) = await loop.run_in_executor(self._for_large, self._score, [question])
            if isinstance(answer, RequestError):
                raise answer
            return answer
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((question, future))
        if len(self._waiting) == 1:
            loop.call_soon(self._gather, 0)
        return await future

    def _gather(self, known: int) -> None:
        """Compute as soon as a turn of the loop brought no further question, or the batch is full.

        The loop reads sockets once a turn. Clients answered together ask again together, but over several turns.
        """
        found = len(self._waiting)
        if known < found < LARGEST_BATCH:
            asyncio.get_running_loop().call_soon(self._gather, found)
        else:
            self._compute()

    def _compute(self) -> None:
        batch, self._waiting = self._waiting[:LARGEST_BATCH], self._waiting[LARGEST_BATCH:]
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._gather, 0)
        try:
            answers = self._score([question for question, _ in batch])
        except Exception as error:  # noqa: BLE001 - every waiting caller gets the exception
            for _, future in batch:
                _settle(future, error)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            _settle(future, answer)


def _settle(future: asyncio.Future[Answer], answer: Answer | BaseException) -> None:
    if future.done():  # its client has disconnected
        return
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(answer)
