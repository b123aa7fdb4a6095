"""Lambda handler of the state "Hand over messages"."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from functions.shared.messages import read_message

logger = Logger(service="hand_over")
THREADS = 16
BATCH = 10
"""Most messages in one SendMessageBatch."""
s3 = boto3.client("s3")
sqs = boto3.client("sqs", config=Config(max_pool_connections=THREADS, retries={"mode": "adaptive", "max_attempts": 8}))


class NotHandedOver(RuntimeError):
    """SQS refused messages. A retry sends the file again; the consumer deduplicates by key."""


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Validate all messages of a file, send them to the queue, and put the file's record into the table ``sends``.

    A file whose record is there was handed over before, and is not sent again.

    Parameters
    ----------
    event
        ``Bucket`` and ``Key`` of a file of JSON Lines, and ``SendsPrefix`` of the table's partition. Beside the file
        lies its record.
    context
        Lambda's context object.

    Returns
    -------
    dict
        ``Key`` and ``Sent``.

    Raises
    ------
    MessageRejected
        A message violates its schema. Nothing is sent.
    NotHandedOver
        SQS refused some messages.
    """
    bucket, record = event["Bucket"], event["Key"].removesuffix(".jsonl") + ".parquet"
    recorded = f"{event['SendsPrefix']}/{record.rpartition('/')[2]}"
    if s3.list_objects_v2(Bucket=bucket, Prefix=recorded, MaxKeys=1)["KeyCount"]:
        return {"Key": event["Key"], "Sent": 0}
    body = s3.get_object(Bucket=bucket, Key=event["Key"])["Body"].read().decode("utf-8")
    lines = body.splitlines()
    keys = [read_message(line)["idempotency_key"] for line in lines]
    with ThreadPoolExecutor(THREADS) as pool:
        refused = [
            entry for entries in pool.map(_send, batches(list(zip(keys, lines, strict=True)))) for entry in entries
        ]
    if refused:
        raise NotHandedOver(f"SQS refused {len(refused)} of {len(lines)} messages: {refused[0]}")
    # Last, since what is on record must have been sent; and inside S3, since a record may be large.
    s3.copy_object(CopySource={"Bucket": bucket, "Key": record}, Bucket=bucket, Key=recorded)
    logger.info("messages handed over", extra={"key": event["Key"], "sent": len(lines)})
    return {"Key": event["Key"], "Sent": len(lines)}


def batches(messages: Sequence[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """Split messages into batches for one call each."""
    rest = iter(messages)
    while batch := list(islice(rest, BATCH)):
        yield batch


def _send(batch: list[tuple[str, str]]) -> list[str]:
    # The key, 32 hexadecimal digits, serves as the Id of an entry in its batch.
    entries: Any = [{"Id": key, "MessageBody": body} for key, body in batch]
    answer = sqs.send_message_batch(QueueUrl=os.environ["QUEUE_URL"], Entries=entries)
    return [f"{failed['Code']}: {failed.get('Message', '')}" for failed in answer.get("Failed", [])]
