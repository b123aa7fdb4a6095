"""A queue counts its messages as moto does, with one look at the clock for all of them."""

from __future__ import annotations

import pytest
from moto.core.utils import unix_time_millis
from moto.sqs.models import Message, Queue

from localaws.patches import sqs


@pytest.fixture
def queue() -> Queue:
    queue = Queue("queue", "eu-central-1", "123456789012")
    for number in range(300):
        message = Message(f"{number}", "body")
        message.mark_sent(delay_seconds=600 if number % 3 == 1 else None)
        if number % 3 == 2:
            message.mark_received(visibility_timeout=600)
        queue.add_message(message)
    return queue


def test_messages_are_waiting_delayed_or_in_flight(queue: Queue) -> None:
    assert [int(message.id) % 3 for message in sqs.messages(queue)] == [0] * 100
    assert (sqs.delayed(queue), sqs.not_visible(queue)) == (100, 100)


@pytest.mark.parametrize("count", [sqs.messages, sqs.delayed, sqs.not_visible])
def test_the_clock_is_read_once(queue: Queue, count: object, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []

    def clock() -> float:
        looks.append(unix_time_millis())
        return looks[-1]

    monkeypatch.setattr(sqs, "unix_time_millis", clock)
    monkeypatch.setattr("moto.sqs.models.unix_time_millis", clock)
    assert callable(count)
    count(queue)
    assert len(looks) == 1
