"""Requests that come while others are computed, computed together next.

A forecast of one user is some hundred small NumPy calls; of ten users it is hardly more. Nobody waits for a batch to
fill: what is there when the computation before ends makes the next one.
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
    """Hands requests to a thread that computes, many at a time.

    Parameters
    ----------
    score : callable
        Answers questions; a wrong one gets its error and leaves the others alone.
    workers : int, optional
        Large requests computed at once, besides the thread for small ones. Default: the number of cores.
    """

    def __init__(self, score: ScoreTogether, workers: int | None = None) -> None:
        self._score = score
        self._waiting: list[_Waiting] = []
        self._computing: asyncio.Task[None] | None = None
        self._for_small = ThreadPoolExecutor(1, thread_name_prefix="small")
        self._for_large = ThreadPoolExecutor(workers or os.cpu_count() or 1, thread_name_prefix="large")

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
        if self._computing is None:
            self._computing = loop.create_task(self._compute())
        return await future

    async def _compute(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:LARGEST_BATCH], self._waiting[LARGEST_BATCH:]
                await self._compute_batch(batch)
        finally:
            self._computing = None

    async def _compute_batch(self, batch: list[_Waiting]) -> None:
        questions = [question for question, _ in batch]
        try:
            answers = await asyncio.get_running_loop().run_in_executor(self._for_small, self._score, questions)
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
