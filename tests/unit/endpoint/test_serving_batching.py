"""Requests that wait together are computed together, and each gets its own answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from serving import batching
from serving.batching import Batches
from serving.errors import RequestError
from serving.formats import Format
from serving.scoring import Answer, Question


def question(body: bytes) -> Question:
    return Question(body, Format.JSON, Format.JSON)


class Recorder:
    """Answers a body with itself, refuses ``bad``, fails at ``broken``; holds the first batch until it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.let_go = threading.Event()

    def __call__(self, questions: Sequence[Question]) -> list[Answer | RequestError]:
        self.batches.append([one.body for one in questions])
        if len(self.batches) == 1:
            assert self.let_go.wait(30)
        if any(one.body == b"broken" for one in questions):
            raise ZeroDivisionError
        return [RequestError("body", "bad") if one.body == b"bad" else Answer(one.body, 1, 0) for one in questions]


async def ask(recorder: Recorder, bodies: list[bytes]) -> list[Answer | BaseException]:
    """Ask the first body, and the others while it is computed."""
    batches = Batches(recorder, workers=1)
    first = asyncio.create_task(batches.answer(question(bodies[0])))
    while not recorder.batches:
        await asyncio.sleep(0)
    others = [asyncio.create_task(batches.answer(question(body))) for body in bodies[1:]]
    await asyncio.sleep(0)
    recorder.let_go.set()
    return await asyncio.gather(first, *others, return_exceptions=True)


def test_what_comes_while_a_batch_is_computed_makes_the_next_one() -> None:
    recorder = Recorder()
    bodies = [b"%d" % number for number in range(6)]
    answers = asyncio.run(ask(recorder, bodies))
    assert recorder.batches == [bodies[:1], bodies[1:]]
    assert [answer.body for answer in answers if isinstance(answer, Answer)] == bodies


def test_a_batch_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "LARGEST_BATCH", 2)
    recorder = Recorder()
    asyncio.run(ask(recorder, [b"1", b"2", b"3", b"4"]))
    assert recorder.batches == [[b"1"], [b"2", b"3"], [b"4"]]


def test_a_bad_request_is_refused_alone() -> None:
    first, bad, good = asyncio.run(ask(Recorder(), [b"1", b"bad", b"2"]))
    assert isinstance(first, Answer)
    assert isinstance(bad, RequestError)
    assert isinstance(good, Answer)


def test_a_failure_reaches_everyone_in_its_batch_and_nobody_after() -> None:
    async def work() -> tuple[list[Answer | BaseException], Answer]:
        recorder = Recorder()
        failed = await ask(recorder, [b"1", b"broken", b"2"])
        return failed, await Batches(recorder).answer(question(b"3"))

    (first, *failed), after = asyncio.run(work())
    assert isinstance(first, Answer)
    assert [type(one) for one in failed] == [ZeroDivisionError, ZeroDivisionError]
    assert after.body == b"3"


def test_a_large_request_does_not_hold_up_small_ones() -> None:
    async def work() -> None:
        recorder = Recorder()  # holds the large one
        batches = Batches(recorder, workers=1)
        large = asyncio.create_task(batches.answer(question(b"x" * (batching.SMALL_BODY_BYTES + 1))))
        while not recorder.batches:
            await asyncio.sleep(0)
        assert (await batches.answer(question(b"small"))).body == b"small"
        assert not large.done()
        recorder.let_go.set()
        await large

    asyncio.run(work())


def test_a_client_that_has_gone_harms_nobody() -> None:
    async def work() -> Answer:
        recorder = Recorder()
        batches = Batches(recorder, workers=1)
        first = asyncio.create_task(batches.answer(question(b"1")))
        while not recorder.batches:
            await asyncio.sleep(0)
        gone, stays = (asyncio.create_task(batches.answer(question(body))) for body in (b"2", b"3"))
        await asyncio.sleep(0)
        gone.cancel()
        recorder.let_go.set()
        await first
        return await stays

    assert asyncio.run(work()).body == b"3"
