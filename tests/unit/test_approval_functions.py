"""What an approver reads, and what is kept of the answer."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.answer_approval import page
from functions.answer_approval.app import LONGEST_NAME, LONGEST_REASON, one_line
from functions.request_approval.app import facts, message
from functions.shared.approval_record import APPROVED, REJECTED, Decision, Question, digest

EVENT: dict[str, Any] = {
    "RunId": "20261123-091500-85c438",
    "EndpointName": "visitcast-dev",
    "ModelPackageArn": "arn:aws:sagemaker:eu-central-1:123456789012:model-package/visitcast-dev/3",
    "ReportUri": "s3://bucket/runs/1/evaluation/report.html",
    "Evaluation": {
        "model": {"log_loss": 2.51234, "best_hour_hit_rate": 0.2718},
        "baselines": {"tuned_histogram": {"log_loss": 2.6}},
        "production": None,
    },
}
PRODUCTION = {"log_loss_difference": {"mean": -0.01, "low": -0.02, "high": 0.001}}
DESCRIPTION_LIMIT = 1024
"""Characters of a model package's ApprovalDescription (API reference)."""


def question(**more: Any) -> Question:
    known = {"approval_id": "id", "key_digest": digest("key"), "task_token": "token", "facts": {}, "expires_at": 0}
    return Question(**known | more)


def test_the_e_mail_says_how_good_the_model_is_and_brings_both_links(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPROVAL_PAGE_URL", "https://page.example/")
    event = EVENT | {"Evaluation": EVENT["Evaluation"] | {"production": PRODUCTION}}
    text = message(question(facts=facts(event), expires_at=1795392000, task_token="secret-token"), "the+key")
    assert all(word in text for word in ("2.5123", "2.6000", "27.2%", "-0.0100", "+0.0010", "2026-11-23 00:00 UTC"))
    links = re.findall(r"https://\S+", text)
    assert links == [f"https://page.example/?id=id&key=the%2Bkey&decision={word}" for word in ("approve", "reject")]
    assert "secret-token" not in text


def test_without_a_production_model_nothing_is_said_of_one() -> None:
    assert not [name for name in facts(EVENT) if "production" in name]


def test_a_link_opens_its_own_question_only() -> None:
    assert question().opens_with("key")
    assert not question().opens_with("")
    assert not question().opens_with(digest("key"))


def test_what_people_write_stays_text_in_the_page() -> None:
    shown = page.form(question(facts={"<b>": "<script>alert(1)</script>"}), APPROVED, 1, 1)
    shown += page.decided(Decision(REJECTED, "<i>Eve</i>", "&", "now", "::1"))
    assert "<script" not in shown + page.answer(200, "<script>", shown)["body"]
    assert "<i>" not in shown


@given(name=st.text(), reason=st.text(), address=st.ip_addresses())
def test_the_model_registry_takes_whatever_was_answered(name: str, reason: str, address: object) -> None:
    by, why = one_line(name * 40, LONGEST_NAME), one_line(reason * 40, LONGEST_REASON)
    kept = Decision(APPROVED, by, why, "2026-11-23T09:15:00+00:00", str(address)).sentence()
    assert len(kept) <= DESCRIPTION_LIMIT
    assert kept.isprintable()
