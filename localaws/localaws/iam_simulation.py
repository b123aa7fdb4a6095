"""SimulatePrincipalPolicy, by which clients such as SageMaker's SDK ask what a role may do.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from moto.core.responses import ActionResult
from moto.iam.exceptions import InvalidInput, NotFoundException
from moto.iam.responses import IamResponse

Statement = Mapping[str, Any]

OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda wanted, value: wanted == value,
    "StringLike": lambda wanted, value: _matches(wanted, value),
    "ArnEquals": lambda wanted, value: _matches(wanted, value),
    "ArnLike": lambda wanted, value: _matches(wanted, value),
    "Bool": lambda wanted, value: wanted.lower() == value.lower(),
}
"""Condition operators. ``IfExists`` may follow each of them."""


class LocalIamResponse(IamResponse):
    """moto's IAM with SimulatePrincipalPolicy for roles."""

    def simulate_principal_policy(self) -> ActionResult:
        """Answer SimulatePrincipalPolicy with one page.

        Raises
        ------
        NotFoundException
            The role does not exist.
        InvalidInput
            A policy has a condition operator that is not supported here.
        """
        arn = self._get_param("PolicySourceArn")
        role = next((role for role in self.backend.get_roles() if role.arn == arn), None)
        if role is None:
            raise NotFoundException(f"The role with ARN {arn} cannot be found.")
        attached = (version for policy in role.managed_policies.values() for version in policy.versions)
        documents = [*role.policies.values(), *(version.document for version in attached if version.is_default)]
        statements = [entry for text in documents for entry in _listed(json.loads(text)["Statement"])]
        context = {
            entry["ContextKeyName"].lower(): [str(value) for value in entry["ContextKeyValues"]]
            for entry in self._get_param("ContextEntries") or []
        }
        return ActionResult(
            {
                "EvaluationResults": [
                    {
                        "EvalActionName": action,
                        "EvalResourceName": resource,
                        "EvalDecision": decide(statements, action, resource, context),
                        "MatchedStatements": [],
                        "MissingContextValues": [],
                    }
                    for action in self._get_param("ActionNames")
                    for resource in self._get_param("ResourceArns") or ["*"]
                ],
                "IsTruncated": False,
            }
        )


def decide(statements: Sequence[Statement], action: str, resource: str, context: Mapping[str, Sequence[str]]) -> str:
    """Return ``allowed``, ``explicitDeny`` or ``implicitDeny`` for a call.

    Parameters
    ----------
    statements
        Of all policies of the role.
    context
        Values by condition key, in lower case.
    """
    effects = {entry["Effect"] for entry in statements if _covers(entry, action, resource, context)}
    if "Deny" in effects:
        return "explicitDeny"
    return "allowed" if effects else "implicitDeny"


def _covers(statement: Statement, action: str, resource: str, context: Mapping[str, Sequence[str]]) -> bool:
    return (
        _is_named(statement, "Action", action.lower(), str.lower)
        and _is_named(statement, "Resource", resource, str)
        and all(
            _meets(operator, _listed(wanted), context.get(key.lower()))
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _is_named(statement: Statement, element: str, name: str, folded: Callable[[str], str]) -> bool:
    """Return whether an element, or its opposite such as NotAction, lets a name in."""
    if element in statement:
        return any(_matches(folded(pattern), name) for pattern in _listed(statement[element]))
    return not any(_matches(folded(pattern), name) for pattern in _listed(statement[f"Not{element}"]))


def _meets(operator: str, wanted: Sequence[Any], values: Sequence[str] | None) -> bool:
    compare = OPERATORS.get(operator.removesuffix("IfExists"))
    if compare is None:
        raise InvalidInput(f"The local region does not support the condition operator {operator}.")
    if values is None:
        return operator.endswith("IfExists")
    return any(compare(str(entry), value) for entry in wanted for value in values)


def _matches(pattern: str, text: str) -> bool:
    expression = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
