"""The evaluation of policies, on calls whose result follows from the IAM user guide."""

from __future__ import annotations

from typing import Any

import pytest
from iam_check import compare
from iam_policy import is_allowed, matches
from iam_stack import Call, Role

BUCKET = "arn:aws:s3:::b"
READ = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": f"{BUCKET}/runs/*"}
PASS = {
    "Effect": "Allow",
    "Action": "iam:PassRole",
    "Resource": "arn:aws:iam::1:role/jobs",
    "Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
}
TO_SAGEMAKER = {"iam:PassedToService": "sagemaker.amazonaws.com"}


@pytest.mark.parametrize(
    ("statements", "call", "allowed"),
    [
        pytest.param([READ], ("s3:GetObject", f"{BUCKET}/runs/1"), True, id="allowed"),
        pytest.param([READ], ("s3:getobject", f"{BUCKET}/runs/1"), True, id="actions have no case"),
        pytest.param([READ], ("s3:GetObject", f"{BUCKET}/events/1"), False, id="other resource"),
        pytest.param([READ], ("s3:PutObject", f"{BUCKET}/runs/1"), False, id="other action"),
        pytest.param([], ("s3:GetObject", f"{BUCKET}/runs/1"), False, id="nothing is allowed by default"),
        pytest.param(
            [READ, {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}],
            ("s3:GetObject", f"{BUCKET}/runs/1"),
            False,
            id="deny wins",
        ),
        pytest.param([PASS], ("iam:PassRole", "arn:aws:iam::1:role/jobs", TO_SAGEMAKER), True, id="condition met"),
        pytest.param([PASS], ("iam:PassRole", "arn:aws:iam::1:role/jobs"), False, id="condition's key missing"),
        pytest.param(
            [PASS],
            ("iam:PassRole", "arn:aws:iam::1:role/jobs", {"iam:PassedToService": "ec2.amazonaws.com"}),
            False,
            id="condition not met",
        ),
    ],
)
def test_verdicts(statements: list[dict[str, Any]], call: tuple[Any, ...], allowed: bool) -> None:
    action, resource, context = (*call, {})[:3]
    assert is_allowed([{"Statement": statements}], action, resource, context) is allowed


def test_an_unknown_operator_is_an_error_not_a_yes() -> None:
    statement = READ | {"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}
    with pytest.raises(ValueError, match="IpAddress"):
        is_allowed([{"Statement": statement}], "s3:GetObject", f"{BUCKET}/runs/1", {"aws:SourceIp": "10.0.0.1"})


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [("a*c", "abbc", True), ("a?c", "abc", True), ("a.c", "abc", False), ("*", "", True), ("a", "ab", False)],
)
def test_wildcards(pattern: str, text: str, fits: bool) -> None:
    assert matches(pattern, text) is fits


def test_a_missing_and_a_superfluous_permission_are_both_found() -> None:
    role = Role("JobRole", "arn", [{"Statement": [READ, PASS]}])
    calls = [
        Call("JobRole", "s3:GetObject", f"{BUCKET}/runs/1", {}, "recorded"),
        Call("JobRole", "s3:PutObject", f"{BUCKET}/runs/1", {}, "recorded"),
    ]
    verdict = compare([role], calls)
    assert [call.action for call in verdict.denied] == ["s3:PutObject"]
    assert [proof.permission.action for proof in verdict.proofs if not proof.origins] == ["iam:PassRole"]
