"""The model registry."""

from __future__ import annotations

import json
import re
import threading
from typing import Any

from moto.events.models import events_backends
from moto.sagemaker.exceptions import AWSValidationException, ConflictException, ValidationError
from moto.sagemaker.models import ModelPackage, SageMakerModelBackend
from moto.sagemaker.utils import arn_formatter

PROPERTY = re.compile(r"[\w .:/=+\-@]+")
"""Keys (1 to 128 characters) and values (1 to 256) of CustomerMetadataProperties (API reference)."""
DESCRIPTION = re.compile(r"[^\x00-\x1f\x7f]{0,1024}")
"""ApprovalDescription and ModelPackageDescription, without control characters (API reference)."""


class ModelRegistry(SageMakerModelBackend):
    """moto's registry with deletion, unique version numbers, events and the limits of the API."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._last_versions: dict[str, int] = {}
        self._by_client_token: dict[str, str] = {}

    def create_model_package_group(
        self,
        model_package_group_name: str,
        model_package_group_description: str,
        tags: list[dict[str, str]] | None = None,
    ) -> str:
        """Create a group.

        Raises
        ------
        ValidationError
            The name is taken.
        """
        if model_package_group_name in self.model_package_groups:
            raise ValidationError("Model Package Group already exists: " + self._group_arn(model_package_group_name))
        arn: str = super().create_model_package_group(model_package_group_name, model_package_group_description, tags)
        return arn

    def delete_model_package_group(self, name: str) -> None:
        """Delete an empty group.

        Raises
        ------
        ConflictException
            The group has versions, which neither AWS nor CloudFormation deletes with it.
        """
        group = self.describe_model_package_group(name.rpartition("/")[2])
        if self._versions(group.model_package_group_name):
            raise ConflictException(f"Model Package Group {group.arn} cannot be deleted because it contains versions.")
        del self.model_package_groups[group.model_package_group_name]
        self._last_versions.pop(group.model_package_group_name, None)

    def create_model_package(self, **request: Any) -> str:  # type: ignore[override]
        """Register a package. The same client token returns the same package.

        Raises
        ------
        AWSValidationException
            A versioned package has tags, or a text is longer than allowed.
        """
        token = request.get("client_token")
        if token in self._by_client_token:
            return self._by_client_token[token]
        group = request.get("model_package_group_name")
        if group and request.get("tags"):
            raise AWSValidationException("Tags are not supported for versioned Model Packages; tag the group.")
        _check_texts(request.get("model_package_description"), request.get("customer_metadata_properties"))
        arn: str = super().create_model_package(**request)
        if group:
            arn = self._number(arn, group)
        if token:
            self._by_client_token[token] = arn
        self._announce(arn)
        return arn

    def _number(self, arn: str, group: str) -> str:
        """Give the newest package of a group the next number. moto would use a deleted one again."""
        package: ModelPackage = self.model_packages.pop(arn)
        self._last_versions[group] = self._last_versions.get(group, 0) + 1
        package.model_package_version = self._last_versions[group]
        package.arn = f"{arn.rpartition('/')[0]}/{package.model_package_version}"
        self.model_packages[package.arn] = package
        self.model_package_name_mapping[package.arn] = package.arn
        return package.arn

    def update_model_package(
        self,
        model_package_arn: str,
        model_approval_status: str | None,
        approval_description: str | None,
        customer_metadata_properties: dict[str, str] | None,
        customer_metadata_properties_to_remove: list[str],
        additional_inference_specifications_to_add: list[Any] | None,
    ) -> str:
        """Change the given properties. moto would clear the others."""
        package = self.describe_model_package(model_package_arn)
        _check_texts(approval_description, customer_metadata_properties)
        arn: str = super().update_model_package(
            model_package_arn,
            model_approval_status or package.model_approval_status,
            package.approval_description if approval_description is None else approval_description,
            {**(package.customer_metadata_properties or {}), **(customer_metadata_properties or {})},
            customer_metadata_properties_to_remove,
            additional_inference_specifications_to_add,
        )
        given = {
            "ModelApprovalStatus": model_approval_status,
            "ApprovalDescription": approval_description,
            "CustomerMetadataProperties": customer_metadata_properties or customer_metadata_properties_to_remove,
        }
        self._announce(arn, [name for name, value in given.items() if value])
        return arn

    def _announce(self, arn: str, updated_fields: list[str] | None = None) -> None:
        """Send the event of a change in the background. That of a new package has no updated fields.

        https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html
        """
        detail = self.model_packages[arn].gen_response_object()
        if updated_fields is not None:
            detail["UpdatedModelPackageFields"] = updated_fields
        event = {
            "Source": "aws.sagemaker",
            "DetailType": "SageMaker Model Package State Change",
            "Resources": [arn],
            "Detail": json.dumps({name: value for name, value in detail.items() if value is not None}, default=str),
        }
        backend = events_backends[self.account_id][self.region_name]
        threading.Thread(target=backend.put_events, args=([event],), daemon=True, name="event").start()

    def delete_model_package(self, name: str) -> None:
        """Delete the package with an ARN or, if it has no version, a name."""
        package = self.describe_model_package(name)
        del self.model_packages[package.arn]
        self.model_package_name_mapping = {
            key: arn for key, arn in self.model_package_name_mapping.items() if arn != package.arn
        }

    def _versions(self, group: str) -> list[ModelPackage]:
        return [found for found in self.model_packages.values() if found.model_package_group_name == group]

    def _group_arn(self, name: str) -> str:
        return str(arn_formatter("model-package-group", name, self.account_id, self.region_name))


def _check_texts(description: str | None, properties: dict[str, str] | None) -> None:
    if description is not None and not DESCRIPTION.fullmatch(description):
        raise AWSValidationException(
            f"1 validation error detected: Value '{description!r}' failed to satisfy constraint: Member must have "
            "length less than or equal to 1024 and no control characters"
        )
    for key, value in (properties or {}).items():
        if not (PROPERTY.fullmatch(key) and len(key) <= 128 and PROPERTY.fullmatch(value) and len(value) <= 256):
            raise AWSValidationException(
                f"1 validation error detected: Value '{{{key}={value}}}' at 'customerMetadataProperties' failed to "
                "satisfy constraint: keys have 1 to 128, values 1 to 256 characters of [\\p{L}\\p{Z}\\p{N}_.:/=+-@]"
            )
