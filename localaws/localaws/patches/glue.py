"""Patches of moto's Glue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from moto.core.responses import ActionResult

from localaws.patches import Patch
from localaws.settings import Settings

DEFAULTS = {"Compressed": False, "NumberOfBuckets": 0, "StoredAsSubDirectories": False}
"""Members of a storage descriptor that Glue returns whether they were set or not."""


def patches(settings: Settings) -> list[Patch]:
    """Return the patches."""
    del settings
    reason = "The numbers and flags of a storage descriptor are missing unless they were set; Trino needs them."
    return [
        Patch("moto.glue.models:FakeTable.as_dict", reason, with_defaults),
        Patch("moto.glue.models:FakePartition.as_dict", reason, with_defaults),
        Patch(
            "moto.glue.responses:GlueResponse.batch_get_partition",
            "The list of keys that were not processed is missing; Trino needs it.",
            with_unprocessed_keys,
        ),
    ]


def with_defaults(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Return a description that has all members of its storage descriptor."""

    def described(self: Any, *arguments: Any, **named: Any) -> dict[str, Any]:
        description = original(self, *arguments, **named)
        if descriptor := description.get("StorageDescriptor"):
            description["StorageDescriptor"] = DEFAULTS | descriptor
        return description

    return described


def with_unprocessed_keys(original: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    """Return BatchGetPartition with its list of keys that were not processed, which is empty."""
    return lambda self: ActionResult({**cast("dict[str, Any]", original(self).result), "UnprocessedKeys": []})
