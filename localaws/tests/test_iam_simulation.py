"""SimulatePrincipalPolicy: what a role may do by its own and its attached policies."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from region import Region

from localaws.iam_simulation import decide

ALLOW = {"Effect": "Allow", "Action": ["s3:Get*", "s3:PutObject"], "Resource": "arn:aws:s3:::b/*"}
DENY = {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::b/secret/*"}
UNLESS_EU = {
    "Effect": "Deny",
    "NotAction": "iam:*",
    "NotResource": "arn:aws:s3:::public/*",
    "Condition": {"StringLike": {"aws:RequestedRegion": ["us-*", "ap-*"]}},
}


@pytest.mark.parametrize(
    ("action", "resource", "context", "decision"),
    [
        ("s3:GetObject", "arn:aws:s3:::b/key", {}, "allowed"),
        ("S3:getobject", "arn:aws:s3:::b/key", {}, "allowed"),
        ("s3:DeleteObject", "arn:aws:s3:::b/key", {}, "implicitDeny"),
        ("s3:GetObject", "arn:aws:s3:::other/key", {}, "implicitDeny"),
        ("s3:GetObject", "arn:aws:s3:::b/secret/key", {}, "explicitDeny"),
        ("s3:GetObject", "arn:aws:s3:::b/key", {"aws:requestedregion": ["us-east-1"]}, "explicitDeny"),
        ("s3:GetObject", "arn:aws:s3:::b/key", {"aws:requestedregion": ["eu-west-1"]}, "allowed"),
        ("iam:GetRole", "*", {"aws:requestedregion": ["us-east-1"]}, "implicitDeny"),
    ],
)
def test_decision(action: str, resource: str, context: dict[str, list[str]], decision: str) -> None:
    assert decide([ALLOW, DENY, UNLESS_EU], action, resource, context) == decision


def test_the_policies_of_a_role_decide(region: Region) -> None:
    iam = region.client("iam")
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = iam.create_role(RoleName="simulated", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    own = json.dumps({"Version": "2012-10-17", "Statement": ALLOW})
    iam.put_role_policy(RoleName="simulated", PolicyName="own", PolicyDocument=own)
    attached = iam.create_policy(
        PolicyName="attached", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [DENY]})
    )
    iam.attach_role_policy(RoleName="simulated", PolicyArn=attached["Policy"]["Arn"])
    pages = iam.get_paginator("simulate_principal_policy").paginate(
        PolicySourceArn=role,
        ActionNames=["s3:GetObject", "s3:DeleteObject"],
        ResourceArns=["arn:aws:s3:::b/key", "arn:aws:s3:::b/secret/key"],
    )
    found: list[Any] = [result["EvalDecision"] for page in pages for result in page["EvaluationResults"]]
    assert found == ["allowed", "explicitDeny", "implicitDeny", "explicitDeny"]


def test_an_unknown_role_is_an_error(region: Region) -> None:
    with pytest.raises(ClientError, match="NoSuchEntity"):
        region.client("iam").simulate_principal_policy(
            PolicySourceArn="arn:aws:iam::123456789012:role/nobody", ActionNames=["s3:GetObject"]
        )
