"""The handler that sends a file of messages to the queue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from handlers_in_moto import BUCKET, handler_module

from functions.shared.messages import MessageRejected


def made_message(number: int) -> dict[str, Any]:
    return {
        "version": 2,
        "campaign": "daily",
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


SENDS = "forecasts/sends/dt=2026-11-24/campaign=daily"


def hand_over(app: Any, messages: list[dict[str, Any]]) -> dict[str, Any]:
    body = "".join(json.dumps(message) + "\n" for message in messages)
    app.s3.put_object(Bucket=BUCKET, Key="messages/messages-00000.jsonl", Body=body.encode())
    app.s3.put_object(Bucket=BUCKET, Key="messages/messages-00000.parquet", Body=b"its rows")
    event = {"Bucket": BUCKET, "Key": "messages/messages-00000.jsonl", "SendsPrefix": SENDS}
    found: dict[str, Any] = app.handler.__wrapped__(event, None)
    return found


def recorded(app: Any) -> dict[str, bytes]:
    """Return the files of the table sends."""
    listed = app.s3.list_objects_v2(Bucket=BUCKET, Prefix="forecasts/").get("Contents", [])
    return {item["Key"]: app.s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read() for item in listed}


def queued(app: Any) -> list[str]:
    """Return the keys of all messages in the queue."""
    url, keys = app.sqs.get_queue_url(QueueName="pushes")["QueueUrl"], []
    while found := app.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        keys += [json.loads(message["Body"])["idempotency_key"] for message in found]
    return sorted(keys)


@pytest.mark.parametrize("count", [0, 1, 10, 23, 200])
def test_every_message_goes_to_the_queue_once_and_the_file_on_record(app: Any, count: int) -> None:
    messages = [made_message(number) for number in range(count)]
    assert hand_over(app, messages)["Sent"] == count
    assert queued(app) == [message["idempotency_key"] for message in messages]
    assert recorded(app) == {f"{SENDS}/messages-00000.parquet": b"its rows"}


def test_a_file_on_record_is_not_sent_again(app: Any) -> None:
    messages = [made_message(number) for number in range(12)]
    assert [hand_over(app, messages)["Sent"] for _ in range(2)] == [12, 0]
    assert queued(app) == [message["idempotency_key"] for message in messages]


def test_a_retry_before_the_record_sends_again_under_the_same_keys(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    messages = [made_message(number) for number in range(12)]
    with monkeypatch.context() as patch:
        patch.setattr(app.s3, "copy_object", refused_copy)
        with pytest.raises(OSError, match="S3 is down"):
            hand_over(app, messages)
    assert recorded(app) == {}
    hand_over(app, messages)
    keys = queued(app)
    assert len(keys) == 24
    assert set(keys) == {message["idempotency_key"] for message in messages}


def refused_copy(**request: Any) -> None:
    raise OSError("S3 is down")


def test_of_a_file_with_a_bad_message_nothing_is_sent(app: Any) -> None:
    messages = [made_message(number) for number in range(30)]
    messages[29]["chance"] = 2
    with pytest.raises(MessageRejected, match="chance"):
        hand_over(app, messages)
    assert queued(app) == []
    assert recorded(app) == {}


def test_what_the_queue_refuses_fails_the_task(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**request: Any) -> dict[str, Any]:
        return {"Failed": [{"Id": request["Entries"][0]["Id"], "Code": "InternalError", "Message": "try again"}]}

    monkeypatch.setattr(app.sqs, "send_message_batch", refuse)
    with pytest.raises(app.NotHandedOver, match="2 of 11 messages: InternalError: try again"):
        hand_over(app, [made_message(number) for number in range(11)])
    assert recorded(app) == {}
