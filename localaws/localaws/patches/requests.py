"""Patches of the way moto handles requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from localaws.patches import Patch


def patches() -> list[Patch]:
    """Return the patches."""
    return [
        Patch(
            "moto.backends:list_of_moto_modules",
            "moto lists its 180 folders twice in each request, which takes a third of the time of a PutObject.",
            listed_once,
        ),
        Patch(
            "moto.moto_server.werkzeug_app:SIGNING_ALIASES",
            "ECR Public is missing: `localaws.patches.ecr` answers for it.",
            lambda aliases: {**aliases, "ecr-public": "ecr"},
        ),
    ]


def listed_once(original: Callable[[], Iterable[str]]) -> Callable[[], tuple[str, ...]]:
    """List the modules once."""
    modules = tuple(original())
    return lambda: modules
