"""Resource types that are created, updated and deleted by calls of the region's API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape
from moto.core.common_models import CloudFormationModel

from localaws.clients import client
from localaws.settings import Settings


class ResourceError(Exception):
    """A resource could not be created, updated or deleted. The message is its status reason."""


@dataclass(frozen=True)
class Request:
    """A request to create, update or delete a resource.

    Attributes
    ----------
    name
        Physical name, from the properties or generated.
    properties
        Properties with all intrinsic functions resolved.
    """

    settings: Settings
    region: str
    account_id: str
    stack_id: str
    logical_id: str
    type_name: str
    name: str
    properties: Mapping[str, Any]

    def call(self, service: str, method: str, **parameters: Any) -> dict[str, Any]:
        """Call an API of the region. Parameters are converted to its types, since a template may have them as text."""
        api = client(self.settings, service, self.region)
        operation = api.meta.method_to_api_mapping[method]
        shape = api.meta.service_model.operation_model(operation).input_shape
        answer: dict[str, Any] = getattr(api, method)(**coerce(parameters, shape))
        return answer

    def pick(self, *names: str) -> dict[str, Any]:
        """Return the properties with these names that are given."""
        return {name: self.properties[name] for name in names if name in self.properties}


@dataclass(frozen=True)
class Handled:
    """A resource that exists: its physical id (for Ref) and its attributes (for Fn::GetAtt)."""

    physical_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ResourceType:
    """The functions of one resource type.

    Attributes
    ----------
    name_property
        Property with the physical name, if any.
    update
        Function of the request, the resource and its old properties. Without one a change replaces the resource.
    replaced_by
        Properties whose change replaces the resource.
    """

    name: str
    create: Callable[[Request], Handled]
    delete: Callable[[Request, str], None]
    update: Callable[[Request, Handled, Mapping[str, Any]], Handled] | None = None
    name_property: str = ""
    replaced_by: frozenset[str] = frozenset()


def put_again(put: Callable[[Request], Handled]) -> Callable[[Request, Handled, Mapping[str, Any]], Handled]:
    """Return the update function of a type whose creation overwrites an existing resource."""

    def update(request: Request, current: Handled, old_properties: Mapping[str, Any]) -> Handled:
        del current, old_properties
        return put(request)

    return update


def camel_case(value: Any) -> Any:
    """Return a property with its names in camelCase, as some APIs have them.

    >>> camel_case({"Level": "ALL", "Destinations": [{"LogGroupArn": "arn"}]})
    {'level': 'ALL', 'destinations': [{'logGroupArn': 'arn'}]}
    """
    if isinstance(value, dict):
        return {name[:1].lower() + name[1:]: camel_case(item) for name, item in value.items()}
    return [camel_case(item) for item in value] if isinstance(value, list) else value


class ApiResource(CloudFormationModel):
    """A `Handled` resource with the interface that moto needs to resolve Ref and Fn::GetAtt."""

    def __init__(self, handled: Handled) -> None:
        self.handled = handled

    @property
    def physical_resource_id(self) -> str:
        """Return the value of Ref."""
        return self.handled.physical_id

    def get_cfn_attribute(self, attribute_name: str) -> Any:
        """Return the value of Fn::GetAtt."""
        value: Any = self.handled.attributes
        for part in [attribute_name] if attribute_name in self.handled.attributes else attribute_name.split("."):
            if not isinstance(value, Mapping) or part not in value:
                raise ResourceError(f"Requested attribute {attribute_name} does not exist in schema for this resource")
            value = value[part]
        return value

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        """Return True: attributes are known only when the resource exists."""
        del attr
        return True

    def is_created(self) -> bool:
        """Return True: the functions of a resource type return when the resource exists."""
        return True

    # Abstract in the base class. The provider calls the functions of the resource type instead.
    @classmethod
    def create_from_cloudformation_json(cls, *arguments: Any, **options: Any) -> Any:
        """Raise an error: this is never called."""
        raise NotImplementedError

    update_from_cloudformation_json = create_from_cloudformation_json
    delete_from_cloudformation_json = create_from_cloudformation_json

    @staticmethod
    def cloudformation_name_type() -> str:
        """Return an empty text: this is not used."""
        return ""

    @staticmethod
    def cloudformation_type() -> str:
        """Return a name that no type of moto has."""
        return "localaws::ApiResource"


def coerce(value: Any, shape: Shape | None) -> Any:
    """Convert a value from a template to the type in an API's shape."""
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        return {name: coerce(item, shape.members.get(name)) for name, item in value.items()}
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [coerce(item, shape.member) for item in value]
    if isinstance(shape, MapShape) and isinstance(value, dict):
        return {name: coerce(item, shape.value) for name, item in value.items()}
    kind = shape.type_name if shape is not None else ""
    if kind in ("integer", "long") and isinstance(value, str | float):
        return int(value)
    if kind in ("double", "float") and isinstance(value, str):
        return float(value)
    if kind == "boolean" and isinstance(value, str):
        return value.lower() == "true"
    if kind == "string" and isinstance(value, bool):
        return str(value).lower()
    if kind == "string" and isinstance(value, int | float):
        return str(value)
    return value
