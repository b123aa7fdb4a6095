"""One question to a person, as the table of approvals holds it, shared by who asks and who takes the answer.

The links in the e-mail carry the question's id and a key of 256 random bits. The table holds the key's digest only, so
that who can read the table can forge no link; and the task token never leaves the table.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import boto3

APPROVED, REJECTED = "Approved", "Rejected"
"""A model package's approval status, in SageMaker's words."""

KEPT_AFTER_SECONDS = 30 * 24 * 3600
"""A question stays in the table this long after it has expired: a late click still learns what was decided."""

dynamodb: Any = boto3.client("dynamodb")


@dataclass(frozen=True)
class Decision:
    """What was answered, by whom, and when (ISO-8601, UTC)."""

    status: str
    by: str
    reason: str
    at: str
    source_ip: str

    def sentence(self) -> str:
        """Say it in one line, for the model registry, the page and the cause of a failed run.

        >>> Decision("Rejected", "Ada", "too early", "2026-11-23T10:00:00+00:00", "192.0.2.1").sentence()
        'Rejected by Ada at 2026-11-23T10:00:00+00:00 from 192.0.2.1: too early'
        """
        said = f"{self.status} by {self.by} at {self.at} from {self.source_ip}"
        return f"{said}: {self.reason}" if self.reason else said


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes
    ----------
    facts
        What the person should know, in the order of showing.
    expires_at
        Seconds since 1970.
    decision
        None until somebody has answered.
    is_delivered
        Whether the run has been told.
    """

    approval_id: str
    key_digest: str
    task_token: str
    facts: Mapping[str, str]
    expires_at: int
    decision: Decision | None = None
    is_delivered: bool = False

    def opens_with(self, key: str) -> bool:
        """Tell whether a link's key is this question's."""
        return hmac.compare_digest(self.key_digest, digest(key))

    def has_expired(self) -> bool:
        """Tell whether the run has given up waiting."""
        return time.time() >= self.expires_at


def digest(key: str) -> str:
    """Return what the table holds of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def keep(question: Question) -> None:
    """Write a new question into the table."""
    dynamodb.put_item(
        TableName=_table(),
        Item={
            "approval_id": {"S": question.approval_id},
            "key_digest": {"S": question.key_digest},
            "task_token": {"S": question.task_token},
            "facts": {"S": json.dumps(question.facts)},
            "expires_at": {"N": str(question.expires_at)},
            "expiration": {"N": str(question.expires_at + KEPT_AFTER_SECONDS)},
        },
        ConditionExpression="attribute_not_exists(approval_id)",
    )


def find(approval_id: str) -> Question | None:
    """Read a question; None where there is none of this id."""
    answer = dynamodb.get_item(TableName=_table(), Key={"approval_id": {"S": approval_id}}, ConsistentRead=True)
    return _question(answer["Item"]) if "Item" in answer else None


def decide(question: Question, decision: Decision) -> Question:
    """Write a decision down unless there is one; return the question with the decision that counts, the first."""
    # Two clicks at once: the condition fails for the second.
    with suppress(dynamodb.exceptions.ConditionalCheckFailedException):
        dynamodb.update_item(
            TableName=_table(),
            Key={"approval_id": {"S": question.approval_id}},
            UpdateExpression="SET decision = :decision",
            ConditionExpression="attribute_exists(approval_id) AND attribute_not_exists(decision)",
            ExpressionAttributeValues={":decision": {"S": json.dumps(asdict(decision))}},
        )
    return find(question.approval_id) or question


def mark_delivered(question: Question) -> None:
    """Note that the run knows the decision."""
    dynamodb.update_item(
        TableName=_table(),
        Key={"approval_id": {"S": question.approval_id}},
        UpdateExpression="SET is_delivered = :yes",
        ExpressionAttributeValues={":yes": {"BOOL": True}},
    )


def _question(item: Mapping[str, Any]) -> Question:
    return Question(
        approval_id=item["approval_id"]["S"],
        key_digest=item["key_digest"]["S"],
        task_token=item["task_token"]["S"],
        facts=json.loads(item["facts"]["S"]),
        expires_at=int(item["expires_at"]["N"]),
        decision=Decision(**json.loads(item["decision"]["S"])) if "decision" in item else None,
        is_delivered="is_delivered" in item,
    )


def _table() -> str:
    return os.environ["APPROVALS_TABLE"]
