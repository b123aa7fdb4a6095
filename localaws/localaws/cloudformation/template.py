"""Templates: parsing, the SAM transform, validation, and the order of resources."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

SAM_TRANSFORM = "AWS::Serverless-2016-10-31"


class TemplateError(ValueError):
    """A template cannot be deployed. The message is that of CloudFormation."""


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
        # YAML reads an unquoted 2010-09-09 as a date; in a template it is a text.
        return json.loads(json.dumps(yaml_parse(text), default=str))
    except YAMLError as error:
        raise TemplateError(f"Template format error: {error}") from error


def expand(template: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return a template after the SAM transform."""
    transforms = template.get("Transform", [])
    names = [transforms] if isinstance(transforms, str) else list(transforms)
    if not names:
        return dict(template)
    if names != [SAM_TRANSFORM]:
        raise TemplateError(f"Transform {names} is not supported by the local region; only {SAM_TRANSFORM} is.")
    from samtranslator.model.exceptions import InvalidDocumentException
    from samtranslator.translator.transform import transform

    class NoManagedPolicies:
        """The transform has its own list of managed policies, so IAM need not be called."""

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
    """Check that the region supports all resource types of a template.

    Raises
    ------
    TemplateError
        There are other types. The message names them.
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
        Parameters are missing, unknown, or have a value that is not allowed. The message names them.
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
    """Return whether a resource type is a custom resource."""
    return resource_type.startswith("Custom::") or resource_type == "AWS::CloudFormation::CustomResource"


def deployment_order(resources: Mapping[str, Any]) -> list[str]:
    """Return logical ids in an order in which each resource comes after those that it depends on.

    Raises
    ------
    TemplateError
        There is a circular dependency, or a dependency on a resource that does not exist.
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
    """Yield the logical ids and parameters that a value refers to by Ref, Fn::GetAtt or Fn::Sub."""
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
