"""The stacks and change sets of one account and region."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from moto.cloudformation.exceptions import AlreadyExistsException, ValidationError
from moto.cloudformation.models import CloudFormationBackend, Stack
from moto.cloudformation.utils import generate_stack_id

from localaws.cloudformation import rules
from localaws.cloudformation import template as templates
from localaws.cloudformation.deployment import Deployment, Target
from localaws.cloudformation.provider import Provider, known_types
from localaws.settings import Settings

ANSWER_SECONDS = 30
"""An API call returns after this time at the latest, while its operation continues.

AWS returns at once. But the waiters of boto3 and sam poll every 30 s, so it saves time to return when all is done."""


class LocalCloudFormation(CloudFormationBackend):
    """moto's backend with stacks that are deployed by `deployment.Deployment`."""

    # The base class derives its URLs from the module's name.
    __module__ = "moto.cloudformation.models"
    settings: ClassVar[Settings]

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._originals: dict[str, str] = {}

    # -- stacks

    def create_stack(
        self,
        name: str,
        template: str,
        parameters: dict[str, Any],
        notification_arns: list[str] | None = None,
        tags: dict[str, str] | None = None,
        role_arn: str | None = None,
        *arguments: Any,
        **options: Any,
    ) -> Any:
        """Create a stack and its resources."""
        del arguments, options
        if any(stack.name == name for stack in self.stacks.values()):
            raise AlreadyExistsException(f"Stack [{name}] already exists")
        target = self._target(template, parameters)
        stack = self._new_stack(name, parameters, notification_arns, tags, role_arn)
        self._run(stack, template, lambda deployment: deployment.create(target))
        return stack

    def update_stack(
        self,
        name: str,
        template: str,
        role_arn: str | None,
        parameters: list[dict[str, Any]],
        tags: dict[str, str] | None,
    ) -> Any:
        """Update a stack."""
        stack = self.get_stack(name)
        self._require_updatable(stack)
        values = self._resolve_update_parameters(instance=stack, incoming_params=parameters)
        target = self._target(template, values)
        if target == self._deployment(stack).target:
            raise ValidationError(stack.name, message="No updates are to be performed.")
        if tags is not None:
            stack.tags = tags
        stack.role_arn = role_arn or stack.role_arn
        self._run(stack, template, lambda deployment: deployment.update(target))
        return stack

    def delete_stack(self, name_or_stack_id: str) -> None:
        """Delete a stack, if it exists."""
        stack = next((s for s in self.stacks.values() if name_or_stack_id in (s.name, s.stack_id)), None)
        if stack is None:
            return
        used = [
            f"{export.name} is in use by {other.name}"
            for export in stack.exports
            for other in self.stacks.values()
            if other is not stack and _imports(other, export.name)
        ]
        if used:
            raise ValidationError(stack.name, message=f"Export cannot be deleted: {'; '.join(used)}")

        def delete(deployment: Deployment) -> None:
            if deployment.delete():
                self.stacks.pop(stack.stack_id, None)
                self.deleted_stacks[stack.stack_id] = stack

        self._run(stack, None, delete)

    def get_template(self, name_or_stack_id: str) -> Any:
        """Return the template as it was submitted, before its macros were expanded."""
        stack = self.get_stack(name_or_stack_id)
        return self._originals.get(stack.stack_id, stack.template)

    # -- change sets

    def create_change_set(
        self,
        stack_name: str,
        change_set_name: str,
        template: str,
        parameters: dict[str, str],
        description: str,
        change_set_type: str,
        *arguments: Any,
        **options: Any,
    ) -> tuple[str, str]:
        """Create a change set for the creation or update of a stack."""
        target = self._target(template, parameters)
        existing = next((s for s in self.stacks.values() if stack_name in (s.name, s.stack_id)), None)
        if change_set_type == "CREATE" and existing is not None:
            if existing.status != "REVIEW_IN_PROGRESS":
                raise ValidationError(
                    stack_name,
                    message=f"Stack [{stack_name}] already exists and cannot be created again with the changeSet "
                    f"[{change_set_name}].",
                )
            del self.stacks[existing.stack_id]
        if change_set_type == "UPDATE" and existing is not None:
            self._require_updatable(existing)
            stack_name = existing.name
        change_set_id, stack_id = super().create_change_set(
            stack_name,
            change_set_name,
            json.dumps(target.template),
            target.parameters,
            description,
            change_set_type,
            *arguments,
            **options,
        )
        change_set = self.change_sets[change_set_id]
        self._originals[change_set_id] = template
        if change_set_type == "UPDATE" and target == self._deployment(change_set.stack).target:
            change_set.status, change_set.execution_status = "FAILED", "UNAVAILABLE"
            change_set.status_reason = (
                "The submitted information didn't contain changes. Submit different information to create a change set."
            )
        else:
            change_set.status, change_set.execution_status = "CREATE_COMPLETE", "AVAILABLE"
            change_set.status_reason = None
        return change_set_id, stack_id

    def describe_change_set(self, change_set_name: str) -> Any:
        """Return the change set with an ARN, or the newest one with a name."""
        for change_set_id, change_set in reversed(self.change_sets.items()):
            if change_set_name in (change_set_id, change_set.change_set_name):
                return change_set
        raise ValidationError(change_set_name)

    def execute_change_set(self, change_set_name: str, stack_name: str | None = None) -> None:
        """Create or update a stack as a change set says."""
        del stack_name
        change_set = self.describe_change_set(change_set_name)
        if change_set.execution_status != "AVAILABLE":
            raise ValidationError(
                change_set_name,
                message=f"ChangeSet [{change_set.change_set_id}] cannot be executed in its current status of "
                f"[{change_set.status}]",
            )
        change_set.execution_status = "EXECUTE_COMPLETE"
        stack = self.stacks[change_set.stack_id]
        target = Target(change_set.template_dict, change_set.parameters)
        if change_set.tags is not None:
            stack.tags = change_set.tags

        def deploy(deployment: Deployment) -> None:
            if change_set.change_set_type == "CREATE":
                deployment.create(target)
            else:
                deployment.update(target)

        self._run(stack, self._originals[change_set.change_set_id], deploy)

    # -- implementation

    def _target(self, text: str, parameters: Mapping[str, Any]) -> Target:
        values = {name: _as_text(value) for name, value in parameters.items()}
        try:
            template = templates.expand(templates.parse(text), values)
            templates.require_known_types(template, known_types())
            templates.require_valid_parameters(template.get("Parameters", {}), values)
            declared = template.get("Parameters", {})
            defaults = {name: _as_text(item["Default"]) for name, item in declared.items() if "Default" in item}
            given = {**defaults, **values}
            rules.require(template.get("Rules", {}), given)
            templates.deployment_order(template["Resources"])
        except templates.TemplateError as error:
            raise ValidationError("", message=str(error)) from error
        return Target(template, given)

    def _new_stack(
        self,
        name: str,
        parameters: dict[str, Any],
        notification_arns: list[str] | None,
        tags: dict[str, str] | None,
        role_arn: str | None,
    ) -> Any:
        stack_id = generate_stack_id(name, self.region_name, self.account_id)
        new_stack: Any = Stack  # moto made the class abstract by mistake
        stack = new_stack(
            stack_id=stack_id,
            name=name,
            template={},
            parameters=parameters,
            account_id=self.account_id,
            region_name=self.region_name,
            notification_arns=notification_arns,
            tags=tags,
            role_arn=role_arn,
        )
        self.stacks[stack_id] = stack
        return stack

    def _deployment(self, stack: Any) -> Deployment:
        if not hasattr(stack, "deployment"):
            provider = Provider(self.settings, self.region_name, self.account_id, stack.stack_id, stack.name)
            stack.deployment = Deployment(stack, provider)
        deployment: Deployment = stack.deployment
        return deployment

    def _run(self, stack: Any, text: str | None, operation: Callable[[Deployment], None]) -> None:
        deployment = self._deployment(stack)
        if stack.status.endswith("_IN_PROGRESS") and stack.status != "REVIEW_IN_PROGRESS":
            raise ValidationError(
                stack.name, message=f"Stack:{stack.stack_id} is in {stack.status} state and can not be updated."
            )
        stack.resource_map.cross_stack_resources = self.exports
        if text is not None:
            self._originals[stack.stack_id] = text

        def work() -> None:
            # An operation may still be running after it has set a final status.
            with deployment.lock:
                operation(deployment)
                stack.template = json.dumps(stack.template_dict)
                self._publish_exports(stack)

        thread = threading.Thread(target=work, daemon=True, name=f"stack {stack.name}")
        thread.start()
        thread.join(ANSWER_SECONDS)

    def _publish_exports(self, stack: Any) -> None:
        for name in [name for name, export in self.exports.items() if export.exporting_stack_id == stack.stack_id]:
            del self.exports[name]
        if stack.stack_id in self.stacks:
            self.exports.update({export.name: export for export in stack.exports})

    @staticmethod
    def _require_updatable(stack: Any) -> None:
        if not stack.status.endswith("_COMPLETE") or stack.status in ("ROLLBACK_COMPLETE", "DELETE_COMPLETE"):
            raise ValidationError(
                stack.name, message=f"Stack:{stack.stack_id} is in {stack.status} state and can not be updated."
            )


def _imports(stack: Any, name: str) -> bool:
    return f'"Fn::ImportValue": "{name}"' in json.dumps(stack.template_dict)


def _as_text(value: Any) -> str:
    """Return a parameter's value as text. moto has previous values as numbers and lists."""
    return ",".join(str(item) for item in value) if isinstance(value, list) else str(value)
