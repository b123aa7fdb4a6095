"""Resource types that moto lacks, or of which it drops properties or has no update."""

from __future__ import annotations

from localaws.cloudformation.resource import ResourceType
from localaws.cloudformation.resource_types import (
    analytics,
    functions,
    images,
    machine_learning,
    messaging,
    observability,
    policies,
    scheduling,
    state_machines,
)

MODULES = (
    analytics,
    functions,
    images,
    machine_learning,
    messaging,
    observability,
    policies,
    scheduling,
    state_machines,
)

RESOURCE_TYPES: dict[str, ResourceType] = {
    resource_type.name: resource_type for module in MODULES for resource_type in module.TYPES
}
