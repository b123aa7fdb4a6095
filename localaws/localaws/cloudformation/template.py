"""Templates: parsing, the SAM transform, and the order in which resources depend on one another."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

SAM_TRANSFORM = "AWS::Serverless-2016-10-31"


class TemplateError(ValueError):
    """A template that cannot be deployed; the text is what CloudFormation answers."""


def parse(text: str) -> dict[str, Any]:
    """Parse a template in JSON or YAML, with the short forms of intrinsic functions."""
    try:
        template = json.loads(text)
    except ValueError:
        template = _parse_yaml(text)
    if not isinstance(template, dict) or not isinstance(template.get("Resources"), dict):
        raise TemplateError("Template format error: At least one Resources member must be defined.")
    return template


def _parse_yaml(text: str) -> Any:
    from samtranslator.yaml_helper import yaml_parse
    from yaml import YAMLError

    try:
        # YAML reads an unquoted 2010-09-09 as a date; templates know none.
        return json.loads(json.dumps(yaml_parse(text), default=str))
    except YAMLError as error:
        raise TemplateError(f"Template format error: {error}") from error


def expand(template: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return a template without macros: ``AWS::Serverless`` resources become the ones they stand for."""
    transforms = template.get("Transform", [])
    names = [transforms] if isinstance(transforms, str) else list(transforms)
    if not names:
        return dict(template)
    if names != [SAM_TRANSFORM]:
        raise TemplateError(f"Transform {names} is not supported by the local region; only {SAM_TRANSFORM} is.")
    from samtranslator.model.exceptions import InvalidDocumentException
    from samtranslator.translator.transform import transform

    class NoManagedPolicies:
        """The transform brings its own list of managed policies; nothing is to be asked of IAM."""

        def load(self) -> dict[str, str]:
            return {}

    try:
        expanded = transform(copy.deepcopy(dict(template)), dict(parameters), NoManagedPolicies())
    except InvalidDocumentException as error:
        causes = "; ".join(str(cause.message) for cause in error.causes)
        raise TemplateError(
            f"Transform {SAM_TRANSFORM} failed with: Invalid Serverless Application: {causes}"
        ) from error
    expanded.pop("Transform", None)
    result: dict[str, Any] = json.loads(json.dumps(expanded, default=str))
    return result


def require_known_types(template: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuse a template with a resource type that the region cannot create.

    Raises
    ------
    TemplateError
        Names every such type; creating nothing and saying CREATE_COMPLETE would only move the failure.
    """
    types = {str(resource.get("Type")) for resource in template["Resources"].values()}
    unknown = sorted(name for name in types if name not in known and not is_custom(name))
    if unknown:
        raise TemplateError(
            f"Template format error: Unrecognized resource types: {unknown}. The local region cannot create them: "
            "see localaws/cloudformation/resource_types to add one."
        )


def require_valid_parameters(declared: Mapping[str, Any], values: Mapping[str, str]) -> None:
    """Check parameters against their declarations.

    Raises
    ------
    TemplateError
        Names the parameters that are missing, unknown, or of a value that is not allowed.
    """
    if unknown := sorted(set(values) - set(declared)):
        raise TemplateError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    if missing := sorted(name for name in declared if "Default" not in declared[name] and name not in values):
        raise TemplateError(f"Parameters: [{', '.join(missing)}] must have values")
    for name, value in values.items():
        declaration = declared[name]
        allowed = [str(item) for item in declaration.get("AllowedValues", [])]
        if allowed and value not in allowed:
            raise TemplateError(f"Parameter '{name}' must be one of AllowedValues")
        if "AllowedPattern" in declaration and not re.fullmatch(declaration["AllowedPattern"], value):
            wanted = declaration.get("ConstraintDescription", f"must match pattern {declaration['AllowedPattern']}")
            raise TemplateError(f"Parameter '{name}' {wanted}")
        if declaration.get("Type") == "Number":
            _require_number(name, value, declaration)


def _require_number(name: str, value: str, declaration: Mapping[str, Any]) -> None:
    try:
        number = float(value)
    except ValueError:
        raise TemplateError(f"Parameter '{name}' must be a number.") from None
    low, high = float(declaration.get("MinValue", "-inf")), float(declaration.get("MaxValue", "inf"))
    if not low <= number <= high:
        raise TemplateError(f"Parameter '{name}' must be a number between {low:g} and {high:g}")


def is_custom(resource_type: str) -> bool:
    """Tell whether a function stands behind a resource type."""
    return resource_type.startswith("Custom::") or resource_type == "AWS::CloudFormation::CustomResource"


def deployment_order(resources: Mapping[str, Any]) -> list[str]:
    """Order resources so that each comes after those it depends on; otherwise as in the template.

    Raises
    ------
    TemplateError
        Resources depend on one another in a circle, or on one that does not exist.
    """
    order: list[str] = []
    visiting: list[str] = []

    def visit(logical_id: str) -> None:
        if logical_id in order:
            return
        if logical_id in visiting:
            circle = ", ".join(visiting[visiting.index(logical_id) :])
            raise TemplateError(f"Circular dependency between resources: [{circle}]")
        visiting.append(logical_id)
        explicit = resources[logical_id].get("DependsOn", [])
        explicit = [explicit] if isinstance(explicit, str) else explicit
        if missing := [name for name in explicit if name not in resources]:
            raise TemplateError(
                f"Template format error: Unresolved resource dependencies {missing} in the Resources block"
            )
        for name in [*explicit, *references(resources[logical_id].get("Properties", {}))]:
            if name in resources:
                visit(name)
        visiting.pop()
        order.append(logical_id)

    for logical_id in resources:
        visit(logical_id)
    return order


def references(value: Any) -> Iterator[str]:
    """Yield the logical ids (and parameters) that a value refers to by Ref, Fn::GetAtt or Fn::Sub."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "Ref" and isinstance(item, str):
                yield item
            elif key == "Fn::GetAtt":
                yield item.partition(".")[0] if isinstance(item, str) else item[0]
            elif key == "Fn::Sub":
                text, variables = (item, {}) if isinstance(item, str) else (item[0], item[1])
                yield from (name for name in re.findall(r"\$\{([\w:]+)[^}]*\}", text) if name not in variables)
                yield from references(variables)
            else:
                yield from references(item)
