"""Requests that wait together are computed together, and each gets its own answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest
from patience import patient

from visitcast.serving import batching
from visitcast.serving.batching import Batches
from visitcast.serving.errors import RequestError
from visitcast.serving.formats import Format
from visitcast.serving.scoring import Answer, Question


def question(body: bytes) -> Question:
    return Question(body, Format.JSON)


class Recorder:
    """Answers a body with itself, refuses ``bad``, fails at ``broken``; holds a large body until it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.let_go = threading.Event()

    def __call__(self, questions: Sequence[Question]) -> list[Answer | RequestError]:
        self.batches.append([one.body for one in questions])
        if len(questions[0].body) > batching.SMALL_BODY_BYTES:
            assert self.let_go.wait(patient(30))
        if any(one.body == b"broken" for one in questions):
            raise ZeroDivisionError
        return [RequestError("body", "bad") if one.body == b"bad" else Answer(one.body, 1, 0) for one in questions]


def ask(recorder: Recorder, bodies: list[bytes]) -> list[Answer | BaseException]:
    """Ask all at the same time."""

    async def work() -> list[Answer | BaseException]:
        batches = Batches(recorder)
        return await asyncio.gather(*(batches.answer(question(body)) for body in bodies), return_exceptions=True)

    return asyncio.run(work())


def ask_one_by_one(recorder: Recorder, bodies: list[bytes]) -> None:
    """Ask as sockets do: the loop reads the next one when the handlers of those before have run."""

    async def work(batches: Batches) -> None:
        asked = []
        for body in bodies:
            asked.append(asyncio.create_task(batches.answer(question(body))))
            await asyncio.sleep(0)
        await asyncio.gather(*asked)

    asyncio.run(work(Batches(recorder)))


def test_what_has_come_is_computed_together() -> None:
    recorder = Recorder()
    bodies = [b"%d" % number for number in range(6)]
    answers = ask(recorder, bodies)
    assert recorder.batches == [bodies]
    assert [answer.body for answer in answers if isinstance(answer, Answer)] == bodies


def test_what_comes_while_others_are_gathered_joins_them() -> None:
    recorder = Recorder()
    ask_one_by_one(recorder, [b"0", b"1", b"2", b"3", b"4"])
    assert recorder.batches == [[b"0", b"1", b"2", b"3", b"4"]]


def test_a_full_batch_waits_for_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "LARGEST_BATCH", 3)
    recorder = Recorder()
    ask_one_by_one(recorder, [b"%d" % number for number in range(7)])
    assert all(len(batch) <= 3 for batch in recorder.batches)
    assert recorder.batches[0] == [b"0", b"1", b"2"]


def test_a_batch_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "LARGEST_BATCH", 2)
    recorder = Recorder()
    ask(recorder, [b"1", b"2", b"3", b"4", b"5"])
    assert recorder.batches == [[b"1", b"2"], [b"3", b"4"], [b"5"]]


def test_one_after_the_other_is_computed_at_once() -> None:
    async def work(batches: Batches) -> None:
        for number in range(3):
            assert (await batches.answer(question(b"%d" % number))).body == b"%d" % number

    recorder = Recorder()
    asyncio.run(work(Batches(recorder)))
    assert recorder.batches == [[b"0"], [b"1"], [b"2"]]


def test_a_bad_request_is_refused_alone() -> None:
    first, bad, good = ask(Recorder(), [b"1", b"bad", b"2"])
    assert isinstance(first, Answer)
    assert isinstance(bad, RequestError)
    assert isinstance(good, Answer)


def test_a_failure_reaches_everyone_in_its_batch_and_nobody_after() -> None:
    recorder = Recorder()
    failed = ask(recorder, [b"1", b"broken", b"2"])
    assert [type(one) for one in failed] == [ZeroDivisionError] * 3
    (after,) = ask(recorder, [b"3"])
    assert isinstance(after, Answer)


def test_a_large_request_does_not_hold_up_small_ones() -> None:
    async def work() -> None:
        recorder = Recorder()
        batches = Batches(recorder)
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
        batches = Batches(Recorder())
        gone, stays = (asyncio.create_task(batches.answer(question(body))) for body in (b"1", b"2"))
        await asyncio.sleep(0)
        gone.cancel()
        return await stays

    assert asyncio.run(work()).body == b"2"
