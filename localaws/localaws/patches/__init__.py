"""Everything the region changes inside moto, in one list.

moto is pinned to one version exactly. Each patch names what it replaces and why, and a test resolves every name, so
that a new version of moto which moved one of them fails at once instead of behaving in the old, broken way.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

_applied: set[str] = set()


@dataclass(frozen=True)
class Patch:
    """One replaced name.

    Attributes
    ----------
    target
        ``package.module:name`` or ``package.module:Class.name``.
    reason
        What is wrong or missing in moto.
    make
        Builds the replacement from the original.
    """

    target: str
    reason: str
    make: Callable[[Any], Any]

    def locate(self) -> tuple[Any, str, Any]:
        """Return the owner, the attribute's name and the original.

        Raises
        ------
        AttributeError
            moto has no such name any more.
        """
        module, _, path = self.target.partition(":")
        owner: Any = importlib.import_module(module)
        *parents, name = path.split(".")
        for parent in parents:
            owner = getattr(owner, parent)
        return owner, name, inspect.getattr_static(owner, name)

    def apply(self) -> None:
        """Replace the name; doing it twice changes nothing."""
        if self.target in _applied:
            return
        owner, name, original = self.locate()
        setattr(owner, name, self.make(original))
        _applied.add(self.target)


def apply_all(patches: Iterable[Patch]) -> None:
    """Apply patches in order."""
    for patch in patches:
        patch.apply()


def replaced_by(replacement: Any) -> Callable[[Any], Any]:
    """Return a `Patch.make` that has no use for the original."""
    return lambda _: replacement
