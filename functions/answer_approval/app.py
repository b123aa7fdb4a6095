"""Lambda handler behind the links of an approval e-mail (a function URL, open to the internet).

A link is proof enough: it carries 256 random bits. GET shows what is asked and decides nothing, since mail scanners and
previews open links; the page's button POSTs. The first answer counts, a second one is told what the first was.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.answer_approval import page
from functions.shared.approval_record import APPROVED, REJECTED, Decision, Question, decide, find, mark_delivered

STATUS = {"approve": APPROVED, "reject": REJECTED}
LONGEST_NAME, LONGEST_REASON = 80, 500
"""Together with the rest of the sentence below the 1,024 characters of a model package's ApprovalDescription."""

logger = Logger(service="answer_approval")
step_functions = boto3.client("stepfunctions")

Response = dict[str, Any]


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> Response:
    """Answer one HTTP request.

    Parameters
    ----------
    event
        A function URL's request, payload format 2.0.
    context
        Lambda's context object.

    Returns
    -------
    dict
        ``statusCode``, ``headers`` and ``body``.
    """
    query = event.get("queryStringParameters") or {}
    request = event["requestContext"]["http"]
    question = find(query["id"]) if query.get("id") else None
    if question is None or not question.opens_with(query.get("key", "")):
        # The same words for an unknown id and a wrong key: an answer must not tell which ids exist.
        return page.answer(403, "This link is not valid", "Open the newest e-mail and use a link in it as it is.")
    if question.decision is not None:
        return tell(deliver(question))
    if question.has_expired():
        return page.answer(
            410, "This link has expired", "The run no longer waits and the endpoint keeps its model. Start a new run."
        )
    status = STATUS.get(query.get("decision", ""))
    if status is None:
        return page.answer(400, "This link is not complete", "It must end in decision=approve or decision=reject.")
    if request["method"] != "POST":
        return page.answer(200, page.TITLES[status], page.form(question, status, LONGEST_NAME, LONGEST_REASON))
    form = fields(event)
    by, reason = one_line(form.get("name", ""), LONGEST_NAME), one_line(form.get("reason", ""), LONGEST_REASON)
    if not by:
        return page.answer(400, "Who are you?", "Go back and give your name: it is kept with the model.")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return tell(deliver(decide(question, Decision(status, by, reason, now, request["sourceIp"]))))


def deliver(question: Question) -> Question | None:
    """Tell the run, unless it knows; None when it no longer waits."""
    decision = question.decision
    if decision is None or question.is_delivered:
        return question
    output = json.dumps({"Status": decision.status, "Description": decision.sentence()})
    gone = (
        step_functions.exceptions.TaskTimedOut,
        step_functions.exceptions.TaskDoesNotExist,
        step_functions.exceptions.InvalidToken,
    )
    try:
        step_functions.send_task_success(taskToken=question.task_token, output=output)
    except gone:
        logger.warning("the run no longer waits", extra={"approval_id": question.approval_id})
        return None
    mark_delivered(question)
    logger.info("decided", extra={"approval_id": question.approval_id, "decision": decision.sentence()})
    return question


def tell(question: Question | None) -> Response:
    """Show what was decided."""
    if question is None or question.decision is None:
        return page.answer(410, "Too late", "The run no longer waits and the endpoint keeps its model.")
    return page.answer(200, f"{question.decision.status}", page.decided(question.decision))


def fields(event: dict[str, Any]) -> dict[str, str]:
    """Read the fields of a posted form."""
    body = event.get("body") or ""
    text = base64.b64decode(body).decode("utf-8", "replace") if event.get("isBase64Encoded") else body
    return {name: values[0] for name, values in parse_qs(text).items()}


def one_line(text: str, longest: int) -> str:
    """Return a text without control characters and line ends, which the model registry refuses, and not too long.

    >>> one_line("  too" + chr(10) + "early ", 7)
    'too ear'
    """
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:longest]
