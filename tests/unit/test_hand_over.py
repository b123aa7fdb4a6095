"""The handler that sends a file of messages to the queue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from handlers_in_moto import BUCKET, handler_module

from functions.shared.send_message import MessageRejected


def made_message(number: int) -> dict[str, Any]:
    return {
        "version": 1,
        "idempotency_key": f"{number:032x}",
        "user_id": f"user-{number}",
        "forecast_date": "2026-11-24",
        "send_at_utc": "2026-11-24T17:00:00Z",
        "send_at_local": "2026-11-24T18:00:00",
        "send_hour": 18,
        "arm": "best_hour",
        "chance": 0.4,
        "source": "model",
    }


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The handler's module in a region with a bucket and the queue."""
    with handler_module(monkeypatch, "hand_over", "s3", "sqs") as app:
        monkeypatch.setenv("QUEUE_URL", app.sqs.create_queue(QueueName="pushes")["QueueUrl"])
        yield app


def hand_over(app: Any, messages: list[dict[str, Any]]) -> dict[str, Any]:
    body = "".join(json.dumps(message) + "\n" for message in messages)
    app.s3.put_object(Bucket=BUCKET, Key="messages-00000.jsonl", Body=body.encode())
    found: dict[str, Any] = app.handler.__wrapped__({"Bucket": BUCKET, "Key": "messages-00000.jsonl"}, None)
    return found


def queued(app: Any) -> list[str]:
    """Return the keys of all messages in the queue."""
    url, keys = app.sqs.get_queue_url(QueueName="pushes")["QueueUrl"], []
    while found := app.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        keys += [json.loads(message["Body"])["idempotency_key"] for message in found]
    return sorted(keys)


@pytest.mark.parametrize("count", [1, 10, 23, 200])
def test_every_message_goes_to_the_queue_once(app: Any, count: int) -> None:
    messages = [made_message(number) for number in range(count)]
    assert hand_over(app, messages)["Sent"] == count
    assert queued(app) == [message["idempotency_key"] for message in messages]


def test_a_retry_sends_again_under_the_same_keys(app: Any) -> None:
    messages = [made_message(number) for number in range(12)]
    for _ in range(2):
        hand_over(app, messages)
    keys = queued(app)
    assert len(keys) == 24
    assert set(keys) == {message["idempotency_key"] for message in messages}


def test_of_a_file_with_a_bad_message_nothing_is_sent(app: Any) -> None:
    messages = [made_message(number) for number in range(30)]
    messages[29]["chance"] = 2
    with pytest.raises(MessageRejected, match="chance"):
        hand_over(app, messages)
    assert queued(app) == []


def test_what_the_queue_refuses_fails_the_task(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**request: Any) -> dict[str, Any]:
        return {"Failed": [{"Id": request["Entries"][0]["Id"], "Code": "InternalError", "Message": "try again"}]}

    monkeypatch.setattr(app.sqs, "send_message_batch", refuse)
    with pytest.raises(app.NotHandedOver, match="2 of 11 messages: InternalError: try again"):
        hand_over(app, [made_message(number) for number in range(11)])
