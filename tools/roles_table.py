"""Write the proofs of all permissions into the table of roles in docs/security.md.

    python tools/roles_table.py build/roles/*.json

The integration tests write the files when they check a stack's roles (`tests/integration/judged_roles.py`);
`make roles` runs both. Fails without a change if no call in any of the files needs some permission.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import marked_part
from iam_stack import RECORDED

PAGE = Path(__file__).parents[1] / "docs" / "security.md"
PART = "roles"

Key = tuple[str, str, str, int]
"""Identifies a permission in every deployment: role, statement, action, and number of the statement's resource."""


def main(files: Sequence[str]) -> int:
    """Write the table; return the number of permissions without a proof."""
    origins, resources = read(Path(file) for file in files)
    unused = [key for key, found in origins.items() if not found]
    for key in unused:
        print(f"unused {key[0]}, {key[1]}: {key[2]} on {resources[key]}")
    if unused or not origins:
        print(f"{len(unused)} of {len(origins)} permissions have no proof: {PAGE.name} stays as it is.")
        return max(len(unused), 1)
    marked_part.write(PAGE, PART, table(origins))
    return 0


def read(files: Iterable[Path]) -> tuple[dict[Key, set[str]], dict[Key, str]]:
    """Return the origins and the resource of each permission, over all files."""
    origins: dict[Key, set[str]] = defaultdict(set)
    resources: dict[Key, str] = {}
    for file in files:
        for entry in json.loads(file.read_text(encoding="utf-8")):
            key = entry["role"], entry["statement"], entry["action"], entry["place"]
            origins[key] |= set(entry["origins"])
            resources[key] = entry["resource"]
    return origins, resources


def table(origins: Mapping[Key, set[str]]) -> Iterator[str]:
    """Yield a Markdown table of role, statement, actions and proof. Actions with the same proof share a row."""
    yield "| role | statement | actions | proof |"
    yield "| --- | --- | --- | --- |"
    by_action: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for (role, statement, action, _), found in origins.items():
        by_action[role, statement][action] |= found
    for (role, statement), actions in sorted(by_action.items()):
        rows: dict[str, list[str]] = defaultdict(list)
        for action, found in sorted(actions.items()):
            rows[RECORDED if RECORDED in found else "on AWS only: " + "; ".join(sorted(found))].append(action)
        for proof, together in sorted(rows.items(), reverse=True):
            yield f"| {role} | {statement} | {', '.join(f'`{action}`' for action in together)} | {proof} |"


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
