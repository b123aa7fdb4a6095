"""Lambda handler behind the queue of pushes, and of what senders report of them.

SQS delivers at least once. Each push goes to the sender once: its key is written to a table before the push is sent and
marked completed afterwards, so that a second delivery finds it. Only failed pushes return to the queue, and after
several attempts they go to the dead-letter queue. The reports of a batch become files of the table push_reports.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.push_consumer.reports import report_files
from functions.push_consumer.senders import load
from functions.shared.messages import MessageRejected, is_report, read_message

logger = Logger(service="push_consumer")
s3 = boto3.client("s3")
processor = BatchProcessor(event_type=EventType.SQS)
send_with = load(os.environ.get("SENDER", "functions.push_consumer.senders:log"))
REMEMBERED_SECONDS = 8 * 24 * 3600
"""Longer than a message can stay in the queue."""
idempotency = IdempotencyConfig(
    event_key_jmespath="idempotency_key", raise_on_no_idempotency_key=True, expires_after_seconds=REMEMBERED_SECONDS
)
seen = DynamoDBPersistenceLayer(table_name=os.environ.get("SENT_TABLE", "sent"), key_attr="idempotency_key")


@idempotent_function(  # type: ignore[untyped-decorator]
    data_keyword_argument="message", config=idempotency, persistence_store=seen, key_prefix="push"
)
def push(message: dict[str, Any]) -> dict[str, str]:
    """Pass a push to the sender unless it was sent before."""
    send_with(message)
    return {"sent": message["idempotency_key"]}


def deliver(record: SQSRecord) -> None:
    """Deliver one message of the queue; a report is written with its batch.

    Raises
    ------
    MessageRejected
        The message violates its schema; it ends up in the dead-letter queue.
    """
    message = read_message(record.body)
    if not is_report(message):
        push(message=message)


def write_reports(records: Iterable[Mapping[str, Any]]) -> None:
    """Write the reports of a batch. Messages that violate their schema are left to `deliver`."""
    for key, body in report_files(_reports(records)).items():
        s3.put_object(Bucket=os.environ["BUCKET_NAME"], Key=key, Body=body)


def _reports(records: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for record in records:
        try:
            message = read_message(record["body"])
        except MessageRejected:
            continue
        if is_report(message):
            yield message


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Deliver the messages of a batch and return those that failed, which SQS delivers again.

    Parameters
    ----------
    event
        Event of SQS: ``Records``.
    context
        Lambda's context object.

    Returns
    -------
    dict
        ``batchItemFailures``.
    """
    # Before any push: if S3 refuses, the whole batch returns to the queue, and nothing of it was done.
    write_reports(event["Records"])
    idempotency.register_lambda_context(context)  # a push in progress is locked until this invocation times out
    return process_partial_response(event=event, record_handler=deliver, processor=processor, context=context)
