"""The Rules section of a template: assertions on parameters.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/rules-section-structure.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localaws.cloudformation.template import TemplateError


def require(rules: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
    """Check all rules.

    Parameters
    ----------
    rules
        The Rules section.
    parameters
        Values by name, including defaults. A list is one text with commas.

    Raises
    ------
    TemplateError
        An assertion is false. The message has its description, as in CloudFormation.
    """
    for name, rule in rules.items():
        if "RuleCondition" in rule and not _truth(rule["RuleCondition"], parameters):
            continue
        for assertion in rule["Assertions"]:
            if not _truth(assertion["Assert"], parameters):
                reason = assertion.get("AssertDescription", f"Assertion of rule {name}")
                raise TemplateError(f"Template error: Rule {name} failed: {str(reason).strip()}")


def _truth(expression: Any, parameters: Mapping[str, str]) -> bool:
    value = _value(expression, parameters)
    if not isinstance(value, bool):
        raise TemplateError(f"Template format error: a rule's condition must be true or false, not {value!r}")
    return value


def _value(expression: Any, parameters: Mapping[str, str]) -> Any:
    if isinstance(expression, list):
        return [_value(item, parameters) for item in expression]
    if not isinstance(expression, dict):
        return expression
    ((function, argument),) = expression.items()
    if function == "Ref":
        if argument not in parameters:
            raise TemplateError(f"Template error: a rule refers to {argument}, which is not a parameter")
        return parameters[argument]
    arguments = _value(argument, parameters)
    if function == "Fn::Equals":
        return arguments[0] == arguments[1]
    if function == "Fn::Not":
        return not arguments[0]
    if function == "Fn::And":
        return all(arguments)
    if function == "Fn::Or":
        return any(arguments)
    if function == "Fn::Contains":
        return arguments[1] in _items(arguments[0])
    if function == "Fn::EachMemberIn":
        return set(_items(arguments[0])) <= set(_items(arguments[1]))
    if function == "Fn::EachMemberEquals":
        return all(item == arguments[1] for item in _items(arguments[0]))
    raise TemplateError(f"Template format error: {function} is not supported in Rules by the local region")


def _items(value: Any) -> list[str]:
    return value if isinstance(value, list) else str(value).split(",")
