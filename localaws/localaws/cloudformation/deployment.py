"""Creates, updates and deletes the resources of a stack, and rolls back if that fails."""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from moto.cloudformation.models import Event
from moto.cloudformation.parsing import clean_json

from localaws.cloudformation.provider import Provider, Resource
from localaws.cloudformation.resource import ResourceError
from localaws.cloudformation.template import deployment_order


@dataclass(frozen=True)
class Deployed:
    """A resource that exists, its properties, and whether it is retained when it leaves the stack."""

    resource: Resource
    type_name: str
    properties: Mapping[str, Any]
    retained: bool


@dataclass(frozen=True)
class Target:
    """The desired state of a stack."""

    template: dict[str, Any]
    parameters: dict[str, Any]


class DeploymentError(Exception):
    """A resource failed. The message is the status reason of the stack."""


class Deployment:
    """The resources of one stack. Operations run one at a time, under `lock`.

    Attributes
    ----------
    stack
        moto's stack, which has the status, the events, and the map that resolves Ref and Fn::GetAtt.
    deployed
        Resources by logical id, in the order of deployment.
    """

    def __init__(self, stack: Any, provider: Provider) -> None:
        self.stack = stack
        self.provider = provider
        self.deployed: dict[str, Deployed] = {}
        self.target = Target({"Resources": {}}, {})
        self.lock = threading.Lock()
        self._superseded: dict[str, Deployed] = {}

    def create(self, target: Target) -> None:
        """Create all resources. If one fails, delete them."""
        self._status("CREATE_IN_PROGRESS", "User Initiated")
        try:
            self._bring_up(target)
        except DeploymentError as error:
            self._status("ROLLBACK_IN_PROGRESS", f"{error} Rollback requested by user.")
            self._retain_only(("Retain",))
            failed = self._remove(list(reversed(self.deployed)))
            self._status("ROLLBACK_FAILED" if failed else "ROLLBACK_COMPLETE")
        else:
            self._status("CREATE_COMPLETE")

    def update(self, target: Target) -> None:
        """Create, update and delete resources. If one fails, restore the previous state."""
        before = self.target
        self._status("UPDATE_IN_PROGRESS", "User Initiated")
        try:
            self._bring_up(target)
        except DeploymentError as error:
            self._status("UPDATE_ROLLBACK_IN_PROGRESS", str(error))
            self._restore(before)
            return
        self._status("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        self._remove_superseded()
        self._remove(self._obsolete())
        self._status("UPDATE_COMPLETE")

    def delete(self) -> bool:
        """Delete all resources except retained ones, and return whether that succeeded."""
        self._status("DELETE_IN_PROGRESS", "User Initiated")
        failed = self._remove(list(reversed(self.deployed)))
        if failed:
            reason = f"The following resource(s) failed to delete: [{', '.join(failed)}]."
            self._status("DELETE_FAILED", reason)
            return False
        self._status("DELETE_COMPLETE")
        return True

    def _retain_only(self, policies: tuple[str, ...]) -> None:
        """Retain only resources with these policies: RetainExceptOnCreate does not apply to a failed creation."""
        definitions = self.target.template["Resources"]
        self.deployed = {
            logical_id: replace(current, retained=definitions[logical_id].get("DeletionPolicy") in policies)
            for logical_id, current in self.deployed.items()
        }

    def _restore(self, before: Target) -> None:
        for logical_id, old in self._superseded.items():
            if current := self.deployed.get(logical_id):
                self._delete_quietly(logical_id, current)
            self._put(logical_id, old)
        self._superseded.clear()
        try:
            self._bring_up(before)
        except DeploymentError as error:
            self._status("UPDATE_ROLLBACK_FAILED", str(error))
            return
        self._status("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
        self._remove(self._obsolete())
        self._status("UPDATE_ROLLBACK_COMPLETE")

    def _bring_up(self, target: Target) -> None:
        """Create missing resources and update changed ones, in the order of their dependencies."""
        self.target = target
        self._resolve_against(target)
        resources = target.template["Resources"]
        for logical_id in deployment_order(resources):
            if self._is_wanted(resources[logical_id]):
                self._bring_up_one(logical_id, resources[logical_id])

    def _bring_up_one(self, logical_id: str, definition: Mapping[str, Any]) -> None:
        current = self.deployed.get(logical_id)
        action = "UPDATE" if current else "CREATE"
        type_name = definition["Type"]
        retained = definition.get("DeletionPolicy") in ("Retain", "RetainExceptOnCreate")
        try:
            properties = _without_none(
                clean_json(copy.deepcopy(definition.get("Properties", {})), self.stack.resource_map)
            )
        except Exception as error:
            reason = self._reason(error)
            self._event(logical_id, type_name, "", f"{action}_FAILED", reason)
            raise self._failure(action, logical_id) from error
        if current and current.type_name == type_name and current.properties == properties:
            self.deployed[logical_id] = Deployed(current.resource, type_name, properties, retained)
            return
        physical_id = current.resource.physical_resource_id if current else ""
        self._event(logical_id, type_name, physical_id, f"{action}_IN_PROGRESS")
        try:
            if current is None:
                resource = self.provider.create(logical_id, type_name, copy.deepcopy(properties))
            elif current.type_name != type_name:
                raise ResourceError("Update of resource type is not permitted.")  # noqa: TRY301
            else:
                resource = self.provider.update(
                    logical_id, type_name, copy.deepcopy(properties), current.resource, current.properties
                )
        except Exception as error:
            reason = self._reason(error)
            self._event(logical_id, type_name, physical_id, f"{action}_FAILED", reason)
            raise self._failure(action, logical_id) from error
        if current and resource.physical_resource_id != physical_id:
            self._superseded[logical_id] = current
        self._put(logical_id, Deployed(resource, type_name, properties, retained))
        self._event(logical_id, type_name, resource.physical_resource_id, f"{action}_COMPLETE")

    def _put(self, logical_id: str, deployed: Deployed) -> None:
        deployed.resource.cf_resource_type = deployed.type_name
        deployed.resource.logical_resource_id = logical_id
        self.deployed[logical_id] = deployed
        self.stack.resource_map._parsed_resources[logical_id] = deployed.resource

    def _resolve_against(self, target: Target) -> None:
        """Make moto's map resolve references in a target."""
        resource_map = self.stack.resource_map
        resource_map._template = target.template
        resource_map._resource_json_map = target.template["Resources"]
        resource_map.input_parameters = target.parameters
        resource_map.resolved_parameters = {}
        resource_map.load_mapping()
        resource_map.load_parameters()
        resource_map.load_conditions()
        self.stack.template_dict = target.template
        self.stack.parameters = target.parameters
        self.stack.description = target.template.get("Description")

    def _is_wanted(self, definition: Mapping[str, Any]) -> bool:
        condition = definition.get("Condition")
        return condition is None or bool(self.stack.resource_map.lazy_condition_map[condition])

    def _obsolete(self) -> list[str]:
        resources = self.target.template["Resources"]
        return [
            logical_id
            for logical_id in reversed(self.deployed)
            if logical_id not in resources or not self._is_wanted(resources[logical_id])
        ]

    def _remove(self, logical_ids: list[str]) -> list[str]:
        """Delete resources, the last deployed first, and return those that failed."""
        failed = []
        for logical_id in logical_ids:
            current = self.deployed[logical_id]
            physical_id = current.resource.physical_resource_id
            if current.retained:
                self._event(logical_id, current.type_name, physical_id, "DELETE_SKIPPED")
            else:
                self._event(logical_id, current.type_name, physical_id, "DELETE_IN_PROGRESS")
                try:
                    self._delete(logical_id, current)
                except Exception as error:  # noqa: BLE001 - the others must still be deleted
                    self._event(logical_id, current.type_name, physical_id, "DELETE_FAILED", self._reason(error))
                    failed.append(logical_id)
                    continue
                self._event(logical_id, current.type_name, physical_id, "DELETE_COMPLETE")
            del self.deployed[logical_id]
            self.stack.resource_map._parsed_resources.pop(logical_id, None)
        return failed

    def _remove_superseded(self) -> None:
        for logical_id, old in self._superseded.items():
            self._delete_quietly(logical_id, old)
        self._superseded.clear()

    def _delete_quietly(self, logical_id: str, deployed: Deployed) -> None:
        physical_id = deployed.resource.physical_resource_id
        if deployed.retained:
            return
        try:
            self._delete(logical_id, deployed)
        except Exception as error:  # noqa: BLE001 - as on AWS, an error in the cleanup does not fail the update
            self._event(logical_id, deployed.type_name, physical_id, "DELETE_FAILED", self._reason(error))

    def _delete(self, logical_id: str, deployed: Deployed) -> None:
        self.provider.delete(logical_id, deployed.type_name, deployed.properties, deployed.resource)

    def _status(self, status: str, reason: str | None = None) -> None:
        self.stack.status = status
        self.stack.stack_status_reason = reason
        if status.endswith(("_COMPLETE", "_FAILED")):
            self.stack.output_map = self.stack._create_output_map()
        self.stack._add_stack_event(status, resource_status_reason=reason)

    def _event(self, logical_id: str, type_name: str, physical_id: str, status: str, reason: str | None = None) -> None:
        event = Event(
            stack_id=self.stack.stack_id,
            stack_name=self.stack.name,
            logical_resource_id=logical_id,
            physical_resource_id=physical_id,
            resource_type=type_name,
            resource_status=status,
            resource_status_reason=reason,
            resource_properties=None,
        )
        self.stack.events.append(event)

    @staticmethod
    def _failure(action: str, logical_id: str) -> DeploymentError:
        return DeploymentError(f"The following resource(s) failed to {action.lower()}: [{logical_id}].")

    @staticmethod
    def _reason(error: Exception) -> str:
        if isinstance(error, KeyError):
            return f"Unresolved reference {error}"
        return str(error) or type(error).__name__


def _without_none(value: Any) -> Any:
    """Remove values of AWS::NoValue, which moto leaves as None."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value if item is not None]
    return value
