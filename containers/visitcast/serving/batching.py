"""Compute small requests that arrive at the same time together, and large ones apart.

A forecast of one user takes some hundred small calls, of ten users hardly more. No request waits for a batch to fill:
a batch holds what can be read now. It is computed on the event loop itself, since handing one user to another process
and back takes as long as the forecast. What would hold up the event loop is computed by
:mod:`visitcast.serving.forked`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

from visitcast.serving import structure
from visitcast.serving.errors import DisconnectedError, OverloadedError, RequestError
from visitcast.serving.forked import Forked
from visitcast.serving.scoring import Answer, Question

SMALL_BODY_BYTES: Final = 64 * 1024
SMALL_USERS: Final = 16
"""A request with more bytes or more users is large."""
LARGEST_BATCH: Final = 64
"""Small requests that are computed together."""
BATCH_USERS: Final = 64
BATCH_BYTES: Final = 256 * 1024
"""Most users and bytes of a batch of several requests, some 10 ms on the event loop."""
MOST_SMALL: Final = 1000
"""Small requests that may wait: half a second's."""
LARGE_AT_ONCE: Final = 2
"""Large requests computed at once: two, so that a short one is not stuck behind a long one."""
NICENESS: Final = 10
"""Of the processes for large requests of an endpoint; in a batch transform no request is small."""
ANSWER_SECONDS: Final = 60
"""As long as SageMaker waits for an answer of an endpoint. What is not computed by then is given up, so that bodies
that take for ever do not keep the processes from all that come later."""
TRANSFORM_SECONDS: Final = 3600
"""The longest InvocationsTimeoutInSeconds of a batch transform."""
MOST_LARGE: Final = 8
"""Large requests that may wait: of 6 MB half a minute's, and SageMaker waits 60 s for an answer."""
RETRY_SMALL_SECONDS: Final = 1
RETRY_LARGE_SECONDS: Final = 5

Gone = Callable[[], Awaitable[None]]
"""Waits until a client has closed its connection."""
ScoreTogether = Callable[[Sequence[Question]], list[Answer | RequestError]]


class _Waiting(NamedTuple):
    """A small question."""

    question: Question
    users: int
    future: asyncio.Future[Answer]

    @property
    def cost(self) -> tuple[int, int]:
        """Users, then bytes of the body. One without users costs as much to refuse as one of its size to answer."""
        return max(self.users, 1), len(self.question.body)


class Batches:
    """Computes requests, many at a time.

    Parameters
    ----------
    score : callable
        Answers questions; an invalid one gets its error and does not affect the others.
    is_bounded : bool
        Whether a request is refused when too many wait. Those of a batch transform are not: SageMaker sends
        ``MaxConcurrentTransforms`` at once, and a refusal would fail the job.
    """

    def __init__(self, score: ScoreTogether, is_bounded: bool = True) -> None:
        self._score = score
        self._is_bounded = is_bounded
        self._waiting: list[_Waiting] = []
        niceness, limit_s = (NICENESS, ANSWER_SECONDS) if is_bounded else (0, TRANSFORM_SECONDS)
        self._idle = [Forked(score, niceness, limit_s) for _ in range(LARGE_AT_ONCE)]
        self._turns = asyncio.Semaphore(LARGE_AT_ONCE)
        self._large_waiting = 0

    def require_room(self, body_bytes: int) -> None:
        """Refuse a request of this size if too many of its kind wait.

        Raises
        ------
        OverloadedError
            There is no room.
        """
        if not self._is_bounded:
            return
        if body_bytes > SMALL_BODY_BYTES:
            if self._large_waiting >= MOST_LARGE:
                raise OverloadedError(RETRY_LARGE_SECONDS)
        elif len(self._waiting) >= MOST_SMALL:
            raise OverloadedError(RETRY_SMALL_SECONDS)

    async def answer(self, question: Question, gone: Gone) -> Answer:
        """Answer one question; do not compute it if its client has gone before its turn.

        Parameters
        ----------
        question : Question
            Request.
        gone : callable
            Waits until the client has closed the connection.

        Raises
        ------
        RequestError
            The request is not valid.
        OverloadedError
            Too many wait.
        DisconnectedError
            The client has gone.
        """
        body = question.body
        # Users are counted in small bodies alone: a look through one of 6 MB takes the time of some forecasts.
        if len(body) > SMALL_BODY_BYTES or (users := structure.most_users(body)) > SMALL_USERS:
            return await _unless(gone, asyncio.create_task(self._apart(question)))
        self.require_room(len(body))
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append(_Waiting(question, users, future))
        if len(self._waiting) == 1:
            loop.call_soon(self._gather, 0)
        # Who is in the next batch has no time to go, and watching takes a tenth of the time of a forecast.
        return await (_unless(gone, future) if len(self._waiting) > LARGEST_BATCH else future)

    async def _apart(self, question: Question) -> Answer:
        self.require_room(SMALL_BODY_BYTES + 1)
        self._large_waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._large_waiting -= 1
        # Once begun it is finished, or ended at its limit, whether the client waits for it or not: the process cannot
        # stop in between.
        computing = asyncio.create_task(self._compute_apart(question))
        computing.add_done_callback(_retrieve)
        (answer,) = await asyncio.shield(computing)
        if isinstance(answer, RequestError):
            raise answer
        return answer

    async def _compute_apart(self, question: Question) -> list[Answer | RequestError]:
        process = self._idle.pop()
        try:
            answers: list[Answer | RequestError] = await process.call([question])
            return answers
        finally:
            self._idle.append(process)
            self._turns.release()

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
        batch, self._waiting = next_batch([one for one in self._waiting if not one.future.done()])
        if self._waiting:
            # A turn later: what came meanwhile is read first, and may be cheaper than what waits.
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.call_soon, self._gather, 0)
        if not batch:  # their clients have gone
            return
        try:
            answers = self._score([one.question for one in batch])
        except Exception as error:  # noqa: BLE001 - every waiting caller gets the exception
            for one in batch:
                one.future.set_exception(error)
            return
        for one, answer in zip(batch, answers, strict=True):
            if isinstance(answer, RequestError):
                one.future.set_exception(answer)
            else:
                one.future.set_result(answer)


def next_batch(waiting: list[_Waiting]) -> tuple[list[_Waiting], list[_Waiting]]:
    """Divide what waits, the oldest first, into the next batch and what waits longer, in the same order.

    If not all fit, the oldest is taken, and then the cheapest: a request that costs little does not wait for those
    that cost much, and none of them waits for ever.
    """
    if (
        len(waiting) <= LARGEST_BATCH
        and sum(one.users for one in waiting) <= BATCH_USERS
        and sum(len(one.question.body) for one in waiting) <= BATCH_BYTES
    ):
        return waiting, []
    oldest, *others = range(len(waiting))
    chosen, (users, size) = {oldest}, waiting[oldest].cost
    for number in sorted(others, key=lambda number: waiting[number].cost):
        more_users, more_bytes = waiting[number].cost
        users, size = users + more_users, size + more_bytes
        if len(chosen) == LARGEST_BATCH or users > BATCH_USERS or size > BATCH_BYTES:
            break
        chosen.add(number)
    return [waiting[number] for number in sorted(chosen)], [
        one for number, one in enumerate(waiting) if number not in chosen
    ]


async def _unless(gone: Gone, answering: asyncio.Future[Answer]) -> Answer:
    """Wait for an answer; cancel it if the client goes before.

    Raises
    ------
    DisconnectedError
        The client has gone.
    """
    going = asyncio.ensure_future(gone())
    try:
        await asyncio.wait((answering, going), return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            raise DisconnectedError
        return answering.result()
    finally:
        answering.cancel()
        going.cancel()


def _retrieve(computed: asyncio.Task[Any]) -> None:
    """Take note of an exception whose client has gone, so that asyncio does not print it."""
    if not computed.cancelled():
        computed.exception()
