"""Every call that a role made in this session is one that its policies in the deployed template allow.

The fixture `stack` judges once more when all tests have run, by then with every fault's calls in the record.
"""

from __future__ import annotations

from deployed_stack import STACK_NAME, Production, Stack
from iam_check import judge, report


def test_a_run_needs_no_more_than_the_policies_allow(stack: Stack, production: Production) -> None:
    assert production.execution.status == "SUCCEEDED", production.execution.cause
    production.forecast()
    verdict = judge(STACK_NAME, stack.home / "calls.jsonl")
    assert not verdict.denied, "\n".join(report(verdict))
    recorded = {call.role for call in verdict.calls if call.origin == "recorded"}
    assert {"TrainStateMachineRole", "StartQueryExecutionFunctionRole"} <= recorded
