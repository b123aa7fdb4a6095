"""Compare the calls that the roles of a stack made with their policies.

    python tools/iam_check.py STACK CALLS.jsonl [--save PROOFS.json]

``CALLS.jsonl`` is the record of the local region, in its home. Prints every denied call and every unused permission;
the exit status is the number of denied calls.
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
    """A permission of a role and the origins of the calls that need it; none if it is unused."""

    role: str
    permission: Permission
    origins: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """Result: the calls that no policy allows, and for each permission the calls that need it."""

    calls: Sequence[Call]
    denied: Sequence[Call]
    proofs: Sequence[Proof]


def judge(stack: Deployed, record: Path) -> Verdict:
    """Check the calls of a record, and those that only AWS makes, against a stack's policies."""
    return compare(stack.roles, [*recorded_calls(record, stack.roles), *calls_only_on_aws(stack)])


def compare(roles: Sequence[Role], calls: Sequence[Call]) -> Verdict:
    """Check calls against the policies of the roles that make them."""
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
    """Yield a line for each denied call."""
    for call in sorted(verdict.denied):
        yield f"DENIED {call.role}: {call.action} on {call.resource} {dict(call.context) or ''} ({call.origin})"


def idle_permissions(verdict: Verdict) -> Iterator[str]:
    """Yield a line for each unused permission."""
    for proof in verdict.proofs:
        if not proof.origins:
            permission = proof.permission
            yield f"unused {proof.role}, {permission.statement}: {permission.action} on {permission.resource}"


def save(verdict: Verdict, file: Path) -> None:
    """Write the proofs to a file, so that those of several stacks can be merged."""
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
    parser = argparse.ArgumentParser(description="Compare the calls of a stack's roles with their policies.")
    parser.add_argument("stack")
    parser.add_argument("record", type=Path)
    parser.add_argument("--save", type=Path, help="write the proof of each permission, for tools/roles_table.py")
    arguments = parser.parse_args()
    verdict = judge(read_stack(arguments.stack), arguments.record)
    print(*denials(verdict), *idle_permissions(verdict), sep="\n")
    if arguments.save:
        save(verdict, arguments.save)
    print(f"{len(verdict.calls)} calls, {len(verdict.denied)} denied")
    return len(verdict.denied)


if __name__ == "__main__":
    sys.exit(min(main(), 1))
