"""Requests that wait together are computed together, large ones apart, and each gets its own answer."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from patience import patient

from visitcast.serving import batching
from visitcast.serving.batching import Batches
from visitcast.serving.errors import DisconnectedError, OverloadedError, RequestError
from visitcast.serving.forked import Forked, ProcessError
from visitcast.serving.formats import Format
from visitcast.serving.scoring import Answer, Question


def question(body: bytes) -> Question:
    return Question(body, Format.JSON)


async def stays() -> None:
    """Wait for a client to go who does not."""
    await asyncio.Event().wait()


class Recorder:
    """Answers a body with itself, refuses ``bad``, fails at ``broken``."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []

    def __call__(self, questions: Sequence[Question]) -> list[Answer | RequestError]:
        self.batches.append([one.body for one in questions])
        if any(one.body == b"broken" for one in questions):
            raise ZeroDivisionError
        return [RequestError("body", "bad") if one.body == b"bad" else Answer(one.body, 1, 0) for one in questions]


LARGE = b"x" * (batching.SMALL_BODY_BYTES + 1)


class Apart(Recorder):
    """Holds large bodies until they are let go, and counts them; the count is shared with forked processes."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = multiprocessing.get_context("fork").Event()
        self._begun = multiprocessing.get_context("fork").Value("i", 0)

    def __call__(self, questions: Sequence[Question]) -> list[Answer | RequestError]:
        if len(questions[0].body) > batching.SMALL_BODY_BYTES:
            with self._begun.get_lock():
                self._begun.value += 1
            assert self.let_go.wait(patient(30))
        return super().__call__(questions)

    async def begun(self, number: int) -> None:
        """Wait until as many large bodies are being computed, or were."""
        async with asyncio.timeout(patient(30)):
            while self.count < number:
                await asyncio.sleep(0.01)

    @property
    def count(self) -> int:
        return self._begun.value


def ask(recorder: Recorder, bodies: list[bytes]) -> list[Answer | BaseException]:
    """Ask all at the same time."""

    async def work() -> list[Answer | BaseException]:
        batches = Batches(recorder)
        return await asyncio.gather(*(batches.answer(question(body), stays) for body in bodies), return_exceptions=True)

    return asyncio.run(work())


def ask_one_by_one(recorder: Recorder, bodies: list[bytes]) -> None:
    """Ask as sockets do: the loop reads the next one when the handlers of those before have run."""

    async def work(batches: Batches) -> None:
        asked = []
        for body in bodies:
            asked.append(asyncio.create_task(batches.answer(question(body), stays)))
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
            assert (await batches.answer(question(b"%d" % number), stays)).body == b"%d" % number

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
        score = Apart()
        batches = Batches(score)
        large = asyncio.create_task(batches.answer(question(LARGE), stays))
        await score.begun(1)
        assert (await batches.answer(question(b"small"), stays)).body == b"small"
        assert not large.done()
        score.let_go.set()
        assert (await large).body == LARGE
        assert score.batches == [[b"small"]]  # the other one was computed in another process

    asyncio.run(work())


@pytest.mark.parametrize("body", [b'{"user_id"' * 17, b'{"user\\u005fid"' * 17], ids=["many users", "in disguise"])
def test_many_users_are_large_whatever_their_bytes(body: bytes) -> None:
    score = Recorder()
    (answer,) = ask(score, [body])
    assert isinstance(answer, Answer)
    assert score.batches == []


def test_a_client_that_has_gone_harms_nobody() -> None:
    async def work() -> Answer:
        batches = Batches(Recorder())
        leaves, waits = (asyncio.create_task(batches.answer(question(body), stays)) for body in (b"1", b"2"))
        await asyncio.sleep(0)
        leaves.cancel()
        return await waits

    assert asyncio.run(work()).body == b"2"


def test_large_requests_whose_clients_have_gone_are_not_computed() -> None:
    async def work() -> None:
        score = Apart()
        batches = Batches(score)
        leave = asyncio.Event()

        async def leaves() -> None:
            await leave.wait()

        computed = [asyncio.create_task(batches.answer(question(LARGE), stays)) for _ in range(batching.LARGE_AT_ONCE)]
        await score.begun(batching.LARGE_AT_ONCE)
        waiting = [asyncio.create_task(batches.answer(question(LARGE), leaves)) for _ in range(batching.MOST_LARGE)]
        await asyncio.sleep(0)
        leave.set()
        gone = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(one) for one in gone] == [DisconnectedError] * batching.MOST_LARGE
        score.let_go.set()
        await asyncio.gather(*computed)
        await batches.answer(question(LARGE), stays)  # there is room again
        assert score.count == batching.LARGE_AT_ONCE + 1

    asyncio.run(work())


def test_a_client_that_goes_while_its_request_is_computed_leaves_room_for_the_next() -> None:
    async def work() -> None:
        score = Apart()
        batches = Batches(score)
        leave = asyncio.Event()

        async def leaves() -> None:
            await leave.wait()

        begun = [asyncio.create_task(batches.answer(question(LARGE), leaves)) for _ in range(batching.LARGE_AT_ONCE)]
        await score.begun(batching.LARGE_AT_ONCE)
        leave.set()
        await asyncio.gather(*begun, return_exceptions=True)
        score.let_go.set()
        assert (await batches.answer(question(LARGE), stays)).body == LARGE

    asyncio.run(work())


def test_small_requests_whose_clients_have_gone_are_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "LARGEST_BATCH", 2)

    async def work() -> None:
        score = Recorder()
        batches = Batches(score)

        async def leaves() -> None:
            return

        asked = [batches.answer(question(b"here"), stays) for _ in range(20)]
        asked += [batches.answer(question(b"gone"), leaves) for _ in range(3)]
        await asyncio.gather(*asked, return_exceptions=True)
        assert score.batches == [[b"here", b"here"]] * 10

    asyncio.run(work())


@pytest.mark.parametrize("is_bounded", [True, False], ids=["endpoint", "transform"])
def test_too_many_large_requests_are_refused_by_an_endpoint(is_bounded: bool) -> None:
    async def work() -> None:
        score = Apart()
        batches = Batches(score, is_bounded)
        fit = batching.LARGE_AT_ONCE + batching.MOST_LARGE
        asked = [asyncio.create_task(batches.answer(question(LARGE), stays)) for _ in range(fit + 3)]
        await score.begun(batching.LARGE_AT_ONCE)
        refused = [one for one in asked if one.done()]
        if is_bounded:
            with pytest.raises(OverloadedError):
                batches.require_room(len(LARGE))  # known from a request's head, before its body is read
        batches.require_room(batching.SMALL_BODY_BYTES)
        score.let_go.set()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert len(refused) == (3 if is_bounded else 0)
        assert sum(isinstance(one, OverloadedError) for one in answers) == len(refused)
        assert sum(isinstance(one, Answer) for one in answers) == len(asked) - len(refused)

    asyncio.run(work())


def test_too_many_small_requests_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "MOST_SMALL", 3)
    answers = ask(Recorder(), [b"%d" % number for number in range(5)])
    assert [type(one) for one in answers] == [Answer] * 3 + [OverloadedError] * 2


def waiting(users: int, size: int = 100) -> batching._Waiting:
    return batching._Waiting(question(b"x" * size), users, None)  # type: ignore[arg-type]


def test_a_batch_has_few_users_and_bytes_and_the_cheapest_go_first() -> None:
    dear = [waiting(16) for _ in range(10)]
    long = [waiting(1, 60_000) for _ in range(10)]
    cheap = [waiting(1) for _ in range(5)]
    batch, left = batching.next_batch([*dear, *long, *cheap])
    assert batch[0] is dear[0]  # the oldest
    assert [one for one in batch if one in cheap] == cheap
    assert sum(one.users for one in batch) <= batching.BATCH_USERS
    assert sum(len(one.question.body) for one in batch) <= batching.BATCH_BYTES
    assert [id(one) for one in left] == [id(one) for one in [*dear, *long] if id(one) not in set(map(id, batch))]
    batches = 1
    while left:
        oldest = left[0]
        batch, left = batching.next_batch(left)
        assert batch[0] is oldest
        batches += 1
    assert batches <= 10


def test_large_bodies_without_users_do_not_go_first() -> None:
    bad = [waiting(0, 60_000) for _ in range(100)]
    good = waiting(1, 12_000)
    batch, _ = batching.next_batch([*bad, good])
    assert good in batch


def test_one_request_is_a_batch_whatever_it_costs() -> None:
    one = waiting(batching.BATCH_USERS + 1, batching.BATCH_BYTES + 1)
    assert batching.next_batch([one, waiting(1)])[0] == [one]


def own_process(argument: Any) -> Any:
    """Answer in ways that a test of processes needs."""
    if argument == "end":
        os.kill(os.getpid(), signal.SIGKILL)
    if argument == "fail":
        raise ValueError("this is wrong")
    if argument == "files":
        return len(list(Path("/proc/self/fd").iterdir()))
    return os.getpid(), argument


def test_a_process_answers_call_after_call_until_it_dies_and_is_then_replaced() -> None:
    async def work() -> None:
        forked = Forked(own_process)
        long = b"y" * 5_000_000
        pid, back = await forked.call(long)
        assert back == long
        assert pid != os.getpid()
        with pytest.raises(ProcessError, match="ValueError: this is wrong"):
            await forked.call("fail")
        assert await forked.call(1) == (pid, 1)
        with pytest.raises(ProcessError, match="exit code -9"):
            await forked.call("end")
        new, _ = await forked.call(1)
        assert new not in (pid, os.getpid())

    asyncio.run(work())


def test_a_process_keeps_no_file_of_its_maker_open() -> None:
    async def work() -> None:
        # stdin, stdout, stderr, the connection, and the folder that is being listed
        assert await Forked(own_process).call("files") <= 5

    asyncio.run(work())


def stuck_or_own(questions: Sequence[Question]) -> list[Answer | RequestError]:
    """Never answer some large bodies."""
    while questions[0].body.startswith(b"stuck"):
        signal.pause()
    return [Answer(one.body, 1, 0) for one in questions]


def test_large_requests_that_take_too_long_are_given_up_and_the_next_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batching, "ANSWER_SECONDS", patient(1))

    async def work() -> None:
        batches = Batches(stuck_or_own)
        bad = [batches.answer(question(b"stuck" + LARGE), stays) for _ in range(2 * batching.LARGE_AT_ONCE)]
        given_up = await asyncio.gather(*bad, return_exceptions=True)
        assert [type(one) for one in given_up] == [ProcessError] * len(bad)
        assert (await batches.answer(question(LARGE), stays)).body == LARGE

    asyncio.run(work())


def test_a_process_that_computes_ends_with_a_maker_that_is_killed(tmp_path: Path) -> None:
    written = tmp_path / "pid"

    def computes(_: Any) -> None:
        written.write_text(f"{os.getpid()}\n")
        while True:
            pass

    maker = multiprocessing.get_context("fork").Process(target=lambda: asyncio.run(Forked(computes).call(0)))
    maker.start()
    while not (written.exists() and written.read_text().endswith("\n")):  # pytest-timeout ends this loop
        time.sleep(0.01)
    process = psutil.Process(int(written.read_text()))
    try:
        maker.kill()
        maker.join()
        end = time.monotonic() + patient(30)
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < end
            time.sleep(0.01)
    except psutil.NoSuchProcess:
        pass
    finally:
        with suppress(psutil.NoSuchProcess):
            process.kill()
