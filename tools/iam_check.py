"""Compare what the roles of a stack did with what their policies allow.

    python tools/iam_check.py STACK CALLS.jsonl [--save PROOFS.json]

``CALLS.jsonl`` is the record of the local region (below its home). Prints every call that is denied and every
permission that nothing used, and ends with the number of denied calls.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from iam_policy import Permission, is_allowed, permissions
from iam_stack import Call, Deployed, Role, calls_only_on_aws, read_stack, recorded_calls


@dataclass(frozen=True)
class Proof:
    """A permission of a role, and the origins of the calls that need it: none, if nothing used it."""

    role: str
    permission: Permission
    origins: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What was found: calls that no policy allows, and for each permission what needs it."""

    calls: Sequence[Call]
    denied: Sequence[Call]
    proofs: Sequence[Proof]


def judge(stack: Deployed, record: Path) -> Verdict:
    """Judge the calls of a record, and those that only AWS makes, by a stack's policies."""
    return compare(stack.roles, [*recorded_calls(record, stack.roles), *calls_only_on_aws(stack)])


def compare(roles: Sequence[Role], calls: Sequence[Call]) -> Verdict:
    """Judge calls by the policies of the roles that make them."""
    made_by = {role.name: [call for call in calls if call.role == role.name] for role in roles}
    denied = [
        call
        for role in roles
        for call in made_by[role.name]
        if not is_allowed(role.policies, call.action, call.resource, call.context)
    ]
    proofs = [
        Proof(role.name, permission, tuple(sorted(_origins(permission, made_by[role.name]))))
        for role in roles
        for permission in permissions(role.policies)
    ]
    return Verdict(calls, denied, proofs)


def _origins(permission: Permission, calls: Sequence[Call]) -> set[str]:
    return {call.origin for call in calls if permission.covers(call.action, call.resource, call.context)}


def denials(verdict: Verdict) -> Iterator[str]:
    """Yield a line for each call that was denied."""
    for call in sorted(verdict.denied):
        yield f"DENIED {call.role}: {call.action} on {call.resource} {dict(call.context) or ''} ({call.origin})"


def idle_permissions(verdict: Verdict) -> Iterator[str]:
    """Yield a line for each permission that nothing used."""
    for proof in verdict.proofs:
        if not proof.origins:
            permission = proof.permission
            yield f"unused {proof.role}, {permission.statement}: {permission.action} on {permission.resource}"


def save(verdict: Verdict, file: Path) -> None:
    """Write the proofs down, so that those of several stacks can be put together."""
    document = [
        {
            "role": proof.role,
            "statement": proof.permission.statement,
            "action": proof.permission.action,
            "place": proof.permission.place,
            "resource": proof.permission.resource,
            "origins": proof.origins,
        }
        for proof in verdict.proofs
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=1), encoding="utf-8")


def main() -> int:
    """Run the command line; return the number of denied calls."""
    parser = argparse.ArgumentParser(description="Compare what a stack's roles did with what they may do.")
    parser.add_argument("stack")
    parser.add_argument("record", type=Path)
    parser.add_argument("--save", type=Path, help="write what proves each permission, for tools/roles_table.py")
    arguments = parser.parse_args()
    verdict = judge(read_stack(arguments.stack), arguments.record)
    print(*denials(verdict), *idle_permissions(verdict), sep="\n")
    if arguments.save:
        save(verdict, arguments.save)
    print(f"{len(verdict.calls)} calls, {len(verdict.denied)} denied")
    return len(verdict.denied)


if __name__ == "__main__":
    sys.exit(min(main(), 1))
