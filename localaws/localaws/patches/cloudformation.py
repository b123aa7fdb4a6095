"""Patches of moto's CloudFormation."""

from __future__ import annotations

import json
from typing import Any

from localaws.cloudformation.resource import ResourceError
from localaws.patches import Patch, replaced_by
from localaws.settings import Settings

_MODELS = "moto.cloudformation.models"
_RESPONSES = "moto.cloudformation.responses"


def patches(settings: Settings) -> list[Patch]:
    """Return the patches."""
    from localaws.cloudformation.backend import LocalCloudFormation
    from localaws.cloudformation.template import parse

    LocalCloudFormation.settings = settings
    return [
        Patch(
            f"{_MODELS}:cloudformation_backends.backend",
            "Stacks have no events of resources and no rollback, and unknown resource types are ignored.",
            replaced_by(LocalCloudFormation),
        ),
        Patch(
            "moto.cloudformation.parsing:ResourceMap.__getitem__",
            "Reading a resource creates it.",
            replaced_by(resource_in_map),
        ),
        Patch(
            f"{_MODELS}:Stack.stack_resources",
            "Listing resources creates them.",
            replaced_by(property(existing_resources)),
        ),
        Patch(f"{_MODELS}:Stack.outputs", "Reading outputs before the stack is complete fails.", outputs_when_ready),
        Patch(f"{_MODELS}:Stack.exports", "Reading exports before the stack is complete fails.", exports_when_ready),
        Patch(
            f"{_MODELS}:Stack.parse_template",
            "YAML with nested short forms is misread, and JSON is slowly parsed as YAML.",
            replaced_by(staticmethod(parse)),
        ),
        Patch(
            f"{_MODELS}:ChangeSet._parse_template",
            "As above.",
            replaced_by(lambda self: setattr(self, "template_dict", parse(self.template))),
        ),
        Patch(
            "moto.iam.models:Role.put_policy",
            "The inline policies of a role in a template are stored as objects and returned as Python text.",
            policy_as_json,
        ),
        Patch(
            "moto.kms.models:KmsBackend.create_key",
            "The policy of a key in a template is stored as an object, on which DescribeKey fails.",
            key_policy_as_json,
        ),
        Patch(
            "moto.s3.models:FakeBucket.delete_from_cloudformation_json",
            "A bucket with objects is reported as deleted but stays.",
            refusal_of_a_full_bucket,
        ),
        Patch(
            f"{_RESPONSES}:StackResourceDTO.__init__",
            "Each resource has the status of the stack.",
            resource_status,
        ),
        Patch(
            f"{_RESPONSES}:get_stack_from_s3_url",
            "A TemplateURL at 127.0.0.1 is not recognized.",
            template_text_from_url,
        ),
    ]


def resource_in_map(self: Any, key: str) -> Any:
    """Replace ``ResourceMap.__getitem__``. The original creates the resource."""
    if key in self._parsed_resources:
        return self._parsed_resources[key]
    definition = self._resource_json_map.get(key)
    condition = definition.get("Condition") if definition else None
    if condition and not self.lazy_condition_map[condition]:
        return None
    raise KeyError(key)


def existing_resources(self: Any) -> list[Any]:
    """Replace ``Stack.stack_resources``. Return those that exist."""
    return [deployed.resource for deployed in self.deployment.deployed.values()] if hasattr(self, "deployment") else []


def outputs_when_ready(original: Any) -> Any:
    """Replace ``Stack.outputs``. Return none unless the stack is complete."""

    def outputs(self: Any) -> Any:
        ready = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")
        return original.fget(self) if self.status in ready else None

    return property(outputs)


def exports_when_ready(original: Any) -> Any:
    """Replace ``Stack.exports``. Return none unless the stack is complete."""

    def exports(self: Any) -> Any:
        ready = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")
        return original.fget(self) if self.status in ready else []

    return property(exports)


def resource_status(original: Any) -> Any:
    """Give each resource its own status in DescribeStackResources."""

    def initialise(self: Any, stack: Any, resource: Any) -> None:
        original(self, stack, resource)
        events = [event for event in stack.events if event.logical_resource_id == self.logical_resource_id]
        if events:
            self.resource_status = events[-1].resource_status
            self.resource_status_reason = events[-1].resource_status_reason
            self.timestamp = events[-1].timestamp

    return initialise


def policy_as_json(original: Any) -> Any:
    """Store the inline policy of a role as JSON text."""

    def put_policy(self: Any, policy_name: str, policy_json: Any) -> None:
        original(self, policy_name, policy_json if isinstance(policy_json, str) else json.dumps(policy_json))

    return put_policy


def key_policy_as_json(original: Any) -> Any:
    """Store the policy of a key as JSON text."""

    def create_key(self: Any, policy: Any, *arguments: Any, **options: Any) -> Any:
        text = policy if policy is None or isinstance(policy, str) else json.dumps(policy)
        return original(self, text, *arguments, **options)

    return create_key


def refusal_of_a_full_bucket(original: Any) -> Any:
    """Refuse to delete a bucket with objects."""

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
    """Accept a TemplateURL at the region's address. moto expects the host name ``localhost``."""

    def read(template_url: str, **options: Any) -> Any:
        return original(template_url.replace("//127.0.0.1", "//localhost", 1), **options)

    return read
