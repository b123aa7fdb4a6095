"""Compare what the roles of a stack did with what their policies allow.

    python tools/iam_check.py STACK CALLS.jsonl [--table]

``CALLS.jsonl`` is the record of the local region (below its home). Calls that only AWS itself makes in a role's name
are in ``calls_only_on_aws.json``. Prints every call that is denied and every permission that nothing used; ends with
the number of denied calls. The stack is asked through boto3, wherever the AWS_* variables lead.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import boto3
from iam_policy import Permission, Policy, is_allowed, permissions

ONLY_ON_AWS = Path(__file__).with_name("calls_only_on_aws.json")


class Call(NamedTuple):
    """One call; `origin` is ``recorded`` or the reason why AWS makes it."""

    role: str
    action: str
    resource: str
    context: Mapping[str, str]
    origin: str


@dataclass(frozen=True)
class Role:
    """A role of the stack: its logical id and the policies that are in force."""

    name: str
    arn: str
    policies: Sequence[Policy]


@dataclass(frozen=True)
class Verdict:
    """What was found: calls that no policy allows, permissions that no call used, and what each role did."""

    denied: Sequence[Call]
    unused: Mapping[str, Sequence[Permission]]
    calls: Sequence[Call]


def judge(stack_name: str, record: Path) -> Verdict:
    """Judge the calls of a record, and those that only AWS makes, by a stack's policies."""
    resources = stack_resources(stack_name)
    roles = list(stack_roles(resources))
    calls = [*recorded_calls(record, roles), *calls_only_on_aws(resources, roles)]
    return compare(roles, calls)


def compare(roles: Sequence[Role], calls: Sequence[Call]) -> Verdict:
    """Judge calls by the policies of the roles that make them."""
    by_name = {role.name: role for role in roles}
    denied = [
        call for call in calls if not is_allowed(by_name[call.role].policies, call.action, call.resource, call.context)
    ]
    unused = {
        role.name: [
            permission
            for permission in permissions(role.policies)
            if not any(
                call.role == role.name and permission.covers(call.action, call.resource, call.context) for call in calls
            )
        ]
        for role in roles
    }
    return Verdict(denied, {name: found for name, found in unused.items() if found}, calls)


def stack_resources(stack_name: str) -> list[dict[str, Any]]:
    """Describe the resources of a stack."""
    found: list[Any] = boto3.client("cloudformation").describe_stack_resources(StackName=stack_name)["StackResources"]
    return found


def stack_roles(resources: Iterable[Mapping[str, Any]]) -> Iterator[Role]:
    """Yield the roles of a stack with the policies that are in force, inline and attached."""
    iam = boto3.client("iam")
    for resource in resources:
        if resource["ResourceType"] != "AWS::IAM::Role":
            continue
        name = resource["PhysicalResourceId"]
        policies: list[Any] = [
            _document(iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"])
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
        ]
        for attached in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            version = iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]["DefaultVersionId"]
            document = iam.get_policy_version(PolicyArn=attached["PolicyArn"], VersionId=version)
            policies.append(_document(document["PolicyVersion"]["Document"]))
        yield Role(resource["LogicalResourceId"], iam.get_role(RoleName=name)["Role"]["Arn"], policies)


def _document(policy: Any) -> Any:
    """Return a policy as a document; boto3 decodes those of AWS itself, a stand-in's may arrive as text."""
    return json.loads(policy) if isinstance(policy, str) else policy


def recorded_calls(record: Path, roles: Iterable[Role]) -> Iterator[Call]:
    """Yield the calls of a record that roles of the stack made."""
    names = {role.arn: role.name for role in roles}
    for line in record.read_text(encoding="utf-8").splitlines():
        call = json.loads(line)
        if name := names.get(call["role"]):
            yield Call(name, call["action"], call["resource"], call["context"], "recorded")


def calls_only_on_aws(resources: Sequence[Mapping[str, Any]], roles: Sequence[Role]) -> Iterator[Call]:
    """Yield the calls that only AWS makes; ``${LogicalId}`` in a resource is that resource's physical id."""
    region, account = boto3.session.Session().region_name, roles[0].arn.split(":")[4]
    values = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources}
    values |= {
        "Region": region,
        "Account": account,
        "StackName": resources[0]["StackName"],
        "KeyArn": f"arn:aws:kms:{region}:{account}:key/{values.get('Key', 'brought-along')}",
        "ModelPackageGroupName": values["ModelPackageGroup"].rpartition("/")[2],
        # A queue's physical id is its URL.
        "MissedStartsQueueName": values["MissedStartsQueue"].rpartition("/")[2],
    }
    for entry in json.loads(ONLY_ON_AWS.read_text(encoding="utf-8")):
        for role in roles:
            if not re.fullmatch(entry["role"], role.name):
                continue
            for action in entry["actions"]:
                for resource in entry["resources"]:
                    arn = Template(resource).substitute(values)
                    context = {
                        key: Template(value).substitute(values) for key, value in entry.get("context", {}).items()
                    }
                    yield Call(role.name, action, arn, context, entry["reason"])


def report(verdict: Verdict) -> Iterator[str]:
    """Yield lines that tell a verdict."""
    for call in sorted(verdict.denied):
        yield f"DENIED {call.role}: {call.action} on {call.resource} {dict(call.context) or ''} ({call.origin})"
    for role, unused in sorted(verdict.unused.items()):
        for permission in unused:
            yield f"unused {role}: {permission.action} on {permission.resource}"


def table(verdict: Verdict) -> Iterator[str]:
    """Yield a Markdown table of every role, its actions and where the proof is."""
    yield "| role | action | proof |"
    yield "| --- | --- | --- |"
    seen: dict[tuple[str, str], str] = {}
    for call in sorted(verdict.calls, key=lambda call: (call.role, call.action, call.origin != "recorded")):
        seen.setdefault((call.role, call.action), call.origin)
    for (role, action), origin in seen.items():
        yield f"| {role} | `{action}` | {origin} |"


def main() -> int:
    """Run the command line; return the number of denied calls."""
    parser = argparse.ArgumentParser(description="Compare what a stack's roles did with what they may do.")
    parser.add_argument("stack")
    parser.add_argument("record", type=Path)
    parser.add_argument("--table", action="store_true", help="print the Markdown table of docs/security.md as well")
    arguments = parser.parse_args()
    verdict = judge(arguments.stack, arguments.record)
    print("\n".join(report(verdict)))
    if arguments.table:
        print("\n".join(table(verdict)))
    print(f"{len(verdict.calls)} calls, {len(verdict.denied)} denied")
    return len(verdict.denied)


if __name__ == "__main__":
    sys.exit(min(main(), 1))
