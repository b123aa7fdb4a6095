"""Every name of moto that the region replaces, a module for each service.

moto is pinned to one version. Each patch has the name that it replaces and the reason, and a test finds every name, so
that a new version of moto in which one has moved fails at once.
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
    """The replacement of one name.

    Attributes
    ----------
    target
        ``package.module:name`` or ``package.module:Class.name``.
    reason
        What is wrong or missing in moto.
    make
        Returns the replacement for the original.
    """

    target: str
    reason: str
    make: Callable[[Any], Any]

    def locate(self) -> tuple[Any, str, Any]:
        """Return the owner of the name, the name and the original.

        Raises
        ------
        AttributeError
            moto does not have this name.
        """
        module, _, path = self.target.partition(":")
        owner: Any = importlib.import_module(module)
        *parents, name = path.split(".")
        for parent in parents:
            owner = getattr(owner, parent)
        return owner, name, inspect.getattr_static(owner, name)

    def apply(self) -> None:
        """Replace the name, unless it has been replaced."""
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
    """Return a `Patch.make` that ignores the original."""
    return lambda _: replacement
