"""Users who are left out of a forecast since they break a rule, so that one user never stops the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data.validation import shown
from visitcast.errors import InputError

LARGEST_SHARE: Final = 0.5
"""When more break a rule, something is wrong with the events, not with users."""
_NAMED: Final = 5


class LeftOut:
    """Their number, and a few names.

    Attributes
    ----------
    rules : Counter
        Users by the rule that they break.
    named : list of str
        Some of them, shortened, with escapes for what a terminal obeys.
    """

    def __init__(self) -> None:
        self.rules: Counter[str] = Counter()
        self.named: list[str] = []
        # Of texts that may be long, and a user may be in several lists.
        self._hashes: set[int] = set()

    def add(self, users: Iterable[str | None], rule: str) -> None:
        """Add users who break a rule."""
        for user in users:
            if (hashed := hash(user)) not in self._hashes:
                self._hashes.add(hashed)
                self.rules[rule] += 1
                if len(self.named) < _NAMED:
                    self.named.append(shown(user))

    def holds(self, users: Iterable[str]) -> NDArray[np.bool_]:
        """Return which of some users were left out, whatever list it was that left them out."""
        if not self._hashes:
            return np.zeros(len(list(users)), dtype=bool)
        return np.fromiter((hash(user) in self._hashes for user in users), dtype=bool)

    def require_few(self, kept: int) -> None:
        """Refuse a forecast for what is left.

        Raises
        ------
        InputError
            More users were left out than a user can be blamed for, or none was kept.
        """
        left_out = self.rules.total()
        if left_out and left_out > LARGEST_SHARE * (kept + left_out):
            raise InputError(
                "Most users break a rule.",
                f"{left_out:,} of {kept + left_out:,}: {self._rules()}. Among them {', '.join(self.named)}.",
                "Correct the source SQL, the events it reads or the audience, then start again.",
            )

    def to_json(self) -> dict[str, Any]:
        """Return all as an object of JSON, with a ``note`` for people; it is empty if nobody was left out."""
        users, note = self.rules.total(), ""
        if users:
            named = ", ".join(self.named)
            note = f"Left out: {users:,} {'user' if users == 1 else 'users'}. {self._rules()}. Among them {named}."
        return {"users": users, "rules": dict(self.rules), "named": self.named, "note": note}

    def _rules(self) -> str:
        return "; ".join(f"{rule} ({count:,})" for rule, count in self.rules.most_common())
