"""Evaluate IAM policies: Allow and Deny, wildcards, and the conditions that this project's policies use.

The rules are those of the IAM user guide, "Policy evaluation logic": an explicit Deny wins over an Allow, and
without either the call is denied. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Policy = Mapping[str, Any]
Context = Mapping[str, str]


@dataclass(frozen=True)
class Permission:
    """One action on one resource pattern, as written in a statement of a policy.

    `place` is the pattern's position in the statement. It identifies the permission in every deployment of a template,
    while the pattern holds names that differ between deployments.
    """

    action: str
    resource: str
    condition: Mapping[str, Mapping[str, Any]]
    statement: str = ""
    place: int = 0

    def covers(self, action: str, resource: str, context: Context) -> bool:
        """Return whether this permission covers a call."""
        return (
            matches(self.action.lower(), action.lower())
            and matches(self.resource, resource)
            and meets(self.condition, context)
        )


def is_allowed(policies: Sequence[Policy], action: str, resource: str, context: Context) -> bool:
    """Return whether the policies of a role allow a call.

    Parameters
    ----------
    resource
        ARN, or ``*`` for an action that supports no resource.
    context
        Condition keys and values of the call.

    >>> reading = {"Statement": {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::b/*"}}
    >>> is_allowed([reading], "s3:GetObject", "arn:aws:s3:::b/k", {}), is_allowed([reading], "s3:PutObject", "b/k", {})
    (True, False)
    """
    effects = {
        statement["Effect"]
        for policy in policies
        for statement in _listed(policy["Statement"])
        if any(permission.covers(action, resource, context) for permission in expand(statement))
    }
    return effects == {"Allow"}


def permissions(policies: Sequence[Policy]) -> Iterator[Permission]:
    """Yield every permission that policies grant."""
    for policy in policies:
        for statement in _listed(policy["Statement"]):
            if statement["Effect"] == "Allow":
                yield from expand(statement)


def expand(statement: Mapping[str, Any]) -> Iterator[Permission]:
    """Yield a statement's pairs of action and resource.

    Raises
    ------
    ValueError
        The statement lists exceptions (NotAction, NotResource): this project's policies name what they allow.
    """
    if unsupported := {"NotAction", "NotResource"} & statement.keys():
        raise ValueError(f"{unsupported.pop()} is not supported. List the actions and resources instead.")
    for action in _listed(statement["Action"]):
        for place, resource in enumerate(_listed(statement["Resource"])):
            yield Permission(action, resource, statement.get("Condition", {}), statement.get("Sid", ""), place)


def meets(condition: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    """Return whether a call's context meets all conditions of a statement; a missing key meets only ``IfExists``."""
    return all(
        _meets_one(operator, context.get(key), [str(value) for value in _listed(wanted)])
        for operator, keys in condition.items()
        for key, wanted in keys.items()
    )


def _meets_one(operator: str, value: str | None, wanted: Sequence[str]) -> bool:
    if value is None:
        return operator.endswith("IfExists")
    operator = operator.removesuffix("IfExists")
    if operator in ("StringEquals", "ArnEquals"):
        return value in wanted
    if operator in ("StringLike", "ArnLike"):
        return any(matches(pattern, value) for pattern in wanted)
    if operator == "Bool":
        return value.lower() in [word.lower() for word in wanted]
    raise ValueError(f"Condition operator {operator} is not supported. Add it to {__name__}.")


def matches(pattern: str, text: str) -> bool:
    """Return whether a text matches a pattern with ``*`` (any text) and ``?`` (any character).

    >>> matches("arn:aws:s3:::b/runs/*/e.json", "arn:aws:s3:::b/runs/1/e.json"), matches("s3:Get?", "s3:Get")
    (True, False)
    """
    expression = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
