"""Requests that come while others are computed, computed together next.

A forecast of one user is some hundred small NumPy calls; of ten users it is hardly more. Nobody waits for a batch to
fill: what has come when the computation before ends makes the next one. It runs on the event loop itself: to hand one
user to a thread and back takes as long as the forecast.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from serving.errors import RequestError
from serving.scoring import Answer, Question

LARGEST_BATCH: Final = 64
"""Requests computed together."""
SMALL_BODY_BYTES: Final = 64 * 1024
"""A larger body holds many users already: it is computed by itself, and small ones do not wait for it."""

ScoreTogether = Callable[[Sequence[Question]], list[Answer | RequestError]]
_Waiting = tuple[Question, asyncio.Future[Answer]]


class Batches:
    """Computes requests, many at a time.

    Parameters
    ----------
    score : callable
        Answers questions; a wrong one gets its error and leaves the others alone.
    workers : int, optional
        Large requests computed at once, in threads. Default: the number of cores.
    """

    def __init__(self, score: ScoreTogether, workers: int | None = None) -> None:
        self._score = score
        self._waiting: list[_Waiting] = []
        self._for_large = ThreadPoolExecutor(workers or os.cpu_count() or 1)

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
        if not self._waiting:
            # After the handlers of all requests that the loop has read by now.
            loop.call_soon(self._compute)
        self._waiting.append((question, future))
        return await future

    def _compute(self) -> None:
        batch, self._waiting = self._waiting[:LARGEST_BATCH], self._waiting[LARGEST_BATCH:]
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._compute)
        try:
            answers = self._score([question for question, _ in batch])
        except Exception as error:  # noqa: BLE001 - it is each caller's to handle
            for _, future in batch:
                _settle(future, error)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            _settle(future, answer)


def _settle(future: asyncio.Future[Answer], answer: Answer | BaseException) -> None:
    if future.done():  # its client has gone
        return
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(answer)
