"""Creates, updates and deletes resources: by a `ResourceType`, a custom resource's function, or moto's class."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from moto.cloudformation.parsing import generate_resource_name, get_model_map
from moto.s3.exceptions import MissingBucket

from localaws.cloudformation import custom_resource
from localaws.cloudformation.resource import ApiResource, Request, ResourceError, ResourceType
from localaws.cloudformation.resource_types import RESOURCE_TYPES
from localaws.cloudformation.template import is_custom
from localaws.settings import Settings

Resource = Any
"""An `ApiResource` or an instance of one of moto's classes."""

UNSUPPORTED = frozenset({"AWS::CloudFormation::Stack"})
"""Types of moto that are not supported, since `deployment` would not deploy moto's nested stacks."""


def known_types() -> set[str]:
    """Return all supported types except custom resources."""
    return (set(get_model_map()) - UNSUPPORTED) | set(RESOURCE_TYPES)


class Provider:
    """Creates, updates and deletes the resources of one stack."""

    def __init__(self, settings: Settings, region: str, account_id: str, stack_id: str, stack_name: str) -> None:
        self.settings, self.region, self.account_id = settings, region, account_id
        self.stack_id, self.stack_name = stack_id, stack_name

    def create(self, logical_id: str, type_name: str, properties: dict[str, Any]) -> Resource:
        """Create a resource."""
        resource_type = _own_type(type_name)
        name = self._name(logical_id, type_name, properties, resource_type)
        if resource_type:
            return ApiResource(resource_type.create(self._request(logical_id, type_name, name, properties)))
        resource = _moto_class(type_name).create_from_cloudformation_json(
            name,
            {"Type": type_name, "Properties": properties},
            self.account_id,
            self.region,
            LogicalId=logical_id,
            StackId=self.stack_id,
            ResourceType=type_name,
        )
        if resource is None:
            raise ResourceError(f"{type_name} was not created")
        return resource

    def update(
        self,
        logical_id: str,
        type_name: str,
        properties: dict[str, Any],
        resource: Resource,
        old_properties: Mapping[str, Any],
    ) -> Resource:
        """Update a resource in place, or create another one, which has another physical id."""
        resource_type = _own_type(type_name)
        if resource_type is None:
            return self._update_by_moto(logical_id, type_name, properties, resource, old_properties)
        changed = {key for key in {*properties, *old_properties} if properties.get(key) != old_properties.get(key)}
        replaced_by = resource_type.replaced_by | {resource_type.name_property}
        if resource_type.update is None or changed & replaced_by:
            return self._replace(logical_id, type_name, properties, resource, old_properties)
        request = self._request(logical_id, type_name, resource.physical_resource_id, properties)
        return ApiResource(resource_type.update(request, resource.handled, old_properties))

    def delete(self, logical_id: str, type_name: str, properties: Mapping[str, Any], resource: Resource) -> None:
        """Delete a resource. As on AWS, a bucket that is not there any more counts as deleted."""
        with suppress(MissingBucket):
            self._delete(logical_id, type_name, properties, resource)

    def _delete(self, logical_id: str, type_name: str, properties: Mapping[str, Any], resource: Resource) -> None:
        physical_id = resource.physical_resource_id
        resource_type = _own_type(type_name)
        if resource_type:
            resource_type.delete(self._request(logical_id, type_name, physical_id, properties), physical_id)
            return
        model = _moto_class(type_name)
        if _implements(model, "delete_from_cloudformation_json"):
            document = {"Type": type_name, "Properties": dict(properties)}
            model.delete_from_cloudformation_json(physical_id, document, self.account_id, self.region)
        elif hasattr(resource, "delete"):
            resource.delete(self.account_id, self.region)

    def _update_by_moto(
        self,
        logical_id: str,
        type_name: str,
        properties: dict[str, Any],
        resource: Resource,
        old_properties: Mapping[str, Any],
    ) -> Resource:
        model = _moto_class(type_name)
        if not _implements(model, "update_from_cloudformation_json"):
            return self._replace(logical_id, type_name, properties, resource, old_properties)
        name = properties.get(model.cloudformation_name_type() or "", resource.physical_resource_id)
        return model.update_from_cloudformation_json(
            original_resource=resource,
            new_resource_name=name,
            cloudformation_json={"Type": type_name, "Properties": properties},
            account_id=self.account_id,
            region_name=self.region,
        )

    def _replace(
        self,
        logical_id: str,
        type_name: str,
        properties: dict[str, Any],
        resource: Resource,
        old_properties: Mapping[str, Any],
    ) -> Resource:
        """Create the new resource, for which the old one is deleted first if both have the same name."""
        resource_type = _own_type(type_name)
        name_property = (
            resource_type.name_property if resource_type else _moto_class(type_name).cloudformation_name_type()
        )
        if name_property and properties.get(name_property) == resource.physical_resource_id:
            self.delete(logical_id, type_name, old_properties, resource)
        return self.create(logical_id, type_name, properties)

    def _name(
        self, logical_id: str, type_name: str, properties: Mapping[str, Any], resource_type: ResourceType | None
    ) -> str:
        name_property = (
            resource_type.name_property if resource_type else _moto_class(type_name).cloudformation_name_type()
        )
        given = properties.get(name_property) if name_property else None
        if given:
            return str(given)
        # AWS shortens both parts, since names of functions and roles have at most 64 characters.
        return str(generate_resource_name(type_name, self.stack_name[:24], logical_id[:24]))

    def _request(self, logical_id: str, type_name: str, name: str, properties: Mapping[str, Any]) -> Request:
        return Request(
            settings=self.settings,
            region=self.region,
            account_id=self.account_id,
            stack_id=self.stack_id,
            logical_id=logical_id,
            type_name=type_name,
            name=name,
            properties=properties,
        )


def _own_type(type_name: str) -> ResourceType | None:
    return custom_resource.TYPE if is_custom(type_name) else RESOURCE_TYPES.get(type_name)


def _moto_class(type_name: str) -> Any:
    return get_model_map()[type_name]


def _implements(model: Any, method: str) -> bool:
    return not getattr(getattr(model, method), "__isabstractmethod__", False)
