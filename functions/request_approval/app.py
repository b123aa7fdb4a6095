"""Lambda handler of the state "Ask for approval": called with a task token, it returns before there is an answer."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.shared.approval_record import Question, digest, keep

logger = Logger(service="request_approval")
sns: Any = boto3.client("sns")

LONGEST_SUBJECT = 100
"""What SNS takes."""


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    """Keep the task token and send the links.

    Parameters
    ----------
    event
        ``TaskToken``, ``TimeoutSeconds``, ``RunId``, ``EndpointName``, ``ModelPackageArn``, ``ReportUri`` and
        ``Evaluation`` (evaluation.json).
    context
        Lambda's context object.

    Returns
    -------
    dict
        ``ApprovalId``.
    """
    key = secrets.token_urlsafe(32)
    question = Question(
        approval_id=secrets.token_urlsafe(16),
        key_digest=digest(key),
        task_token=event["TaskToken"],
        facts=facts(event),
        expires_at=int(time.time()) + event["TimeoutSeconds"],
    )
    keep(question)
    subject = f"visitcast: approve the model of run {event['RunId']}?"
    sns.publish(
        TopicArn=os.environ["APPROVAL_TOPIC_ARN"], Subject=subject[:LONGEST_SUBJECT], Message=message(question, key)
    )
    logger.info("approval asked for", extra={"approval_id": question.approval_id, "run_id": event["RunId"]})
    return {"ApprovalId": question.approval_id}


def facts(event: Mapping[str, Any]) -> dict[str, str]:
    """Say what the person should know, in the order of reading."""
    evaluation = event["Evaluation"]
    model, histogram = evaluation["model"], evaluation["baselines"]["tuned_histogram"]
    found = {
        "Run": event["RunId"],
        "Endpoint": event["EndpointName"],
        "Model version": event["ModelPackageArn"],
        "Log loss on the test days": f"{model['log_loss']:.4f} nats (tuned histogram: {histogram['log_loss']:.4f})",
        "Best hour was right": f"{model['best_hour_hit_rate']:.1%} of visit days",
    }
    if production := evaluation["production"]:
        difference = production["log_loss_difference"]
        found["Against the model in production"] = (
            f"{difference['mean']:+.4f} nats, 95% interval {difference['low']:+.4f} to {difference['high']:+.4f} "
            "(less is better)"
        )
    return {**found, "Report": event["ReportUri"]}


def message(question: Question, key: str) -> str:
    """Write the e-mail. Opening a link decides nothing: mail scanners open links too."""
    lines = [f"{name}: {value}" for name, value in question.facts.items()]
    until = datetime.fromtimestamp(question.expires_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    links = [
        f"{word}:\n{link(question.approval_id, key, decision)}"
        for word, decision in (("Approve", "approve"), ("Reject", "reject"))
    ]
    return "\n\n".join(
        [
            "A new model has passed the gate and waits for a person before it takes over the endpoint.",
            "\n".join(lines),
            *links,
            "Each link opens a page that asks once more. Whoever has this e-mail can decide; the links end at "
            f"{until}. Without an answer the endpoint keeps its model.",
        ]
    )


def link(approval_id: str, key: str, decision: str) -> str:
    """Return the address that one of the words in the e-mail leads to."""
    page = os.environ["APPROVAL_PAGE_URL"]
    return f"{page}?{urlencode({'id': approval_id, 'key': key, 'decision': decision})}"
