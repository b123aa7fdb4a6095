"""The last word on a stack of the tests: what its roles did, judged by their policies."""

from __future__ import annotations

from pathlib import Path

from deployed_stack import ROOT
from iam_check import denials, judge, save
from iam_stack import Deployed

PROOFS = ROOT / "build" / "roles"
"""One file for each stack that was judged; `make roles` puts them together."""


def require_allowed(stack: Deployed, home: Path, name: str) -> None:
    """Fail if a role of the stack has done, since its region began, what its policies do not allow."""
    verdict = judge(stack, home / "calls.jsonl")
    save(verdict, PROOFS / f"{name}.json")
    assert not verdict.denied, "\n".join(denials(verdict))
