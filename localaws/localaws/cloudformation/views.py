"""What moto's stacks tell of themselves while and after they are deployed."""

from __future__ import annotations

import json
from typing import Any

from localaws.cloudformation.resource import ResourceError


def resource_in_map(self: Any, key: str) -> Any:
    """Replace ``ResourceMap.__getitem__``, which creates what it is asked for: here only the deployment creates."""
    if key in self._parsed_resources:
        return self._parsed_resources[key]
    definition = self._resource_json_map.get(key)
    condition = definition.get("Condition") if definition else None
    if condition and not self.lazy_condition_map[condition]:
        return None
    raise KeyError(key)


def existing_resources(self: Any) -> list[Any]:
    """Replace ``Stack.stack_resources``: only those that exist."""
    return [deployed.resource for deployed in self.deployment.deployed.values()] if hasattr(self, "deployment") else []


def outputs_when_ready(original: Any) -> Any:
    """Replace ``Stack.outputs``: none while resources are still missing or once they have been rolled back."""

    def outputs(self: Any) -> Any:
        ready = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")
        return original.fget(self) if self.status in ready else None

    return property(outputs)


def exports_when_ready(original: Any) -> Any:
    """Replace ``Stack.exports`` likewise."""

    def exports(self: Any) -> Any:
        ready = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")
        return original.fget(self) if self.status in ready else []

    return property(exports)


def resource_status(original: Any) -> Any:
    """Give each resource its own status in DescribeStackResources, not the stack's."""

    def initialise(self: Any, stack: Any, resource: Any) -> None:
        original(self, stack, resource)
        events = [event for event in stack.events if event.logical_resource_id == self.logical_resource_id]
        if events:
            self.resource_status = events[-1].resource_status
            self.resource_status_reason = events[-1].resource_status_reason
            self.timestamp = events[-1].timestamp

    return initialise


def policy_as_json(original: Any) -> Any:
    """Keep a role's inline policy as JSON text, however it came."""

    def put_policy(self: Any, policy_name: str, policy_json: Any) -> None:
        original(self, policy_name, policy_json if isinstance(policy_json, str) else json.dumps(policy_json))

    return put_policy


def key_policy_as_json(original: Any) -> Any:
    """Keep a key's policy as JSON text, however it came."""

    def create_key(self: Any, policy: Any, *arguments: Any, **options: Any) -> Any:
        text = policy if policy is None or isinstance(policy, str) else json.dumps(policy)
        return original(self, text, *arguments, **options)

    return create_key


def refusal_of_a_full_bucket(original: Any) -> Any:
    """Refuse to delete a bucket with objects; moto leaves it without a word."""

    def delete(cls: Any, resource_name: str, document: Any, account_id: str, region_name: str) -> None:
        from moto.s3.models import s3_backends

        buckets = s3_backends[account_id]["aws"].buckets
        if resource_name in buckets and buckets[resource_name].keys:
            raise ResourceError(
                "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
            )
        original.__func__(cls, resource_name, document, account_id, region_name)

    return classmethod(delete)


def template_text_from_url(original: Any) -> Any:
    """Understand a TemplateURL at the region's own address; moto knows it only by the name ``localhost``."""

    def read(template_url: str, **options: Any) -> Any:
        return original(template_url.replace("//127.0.0.1", "//localhost", 1), **options)

    return read
