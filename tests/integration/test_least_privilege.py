"""Every call that a role made in a training run is one that its policies in the deployed template allow.

When all tests have run the fixture `stack` judges once more, by then with every fault's calls in the record.
"""

from __future__ import annotations

from deployed_stack import STACK_NAME, Production, Stack
from iam_check import denials, judge
from iam_stack import RECORDED, read_stack


def test_a_run_needs_no_more_than_the_policies_allow(stack: Stack, production: Production) -> None:
    assert production.execution.status == "SUCCEEDED", production.execution.cause
    production.forecast()
    verdict = judge(read_stack(STACK_NAME), stack.home / "calls.jsonl")
    assert not verdict.denied, "\n".join(denials(verdict))
    recorded = {call.role for call in verdict.calls if call.origin == RECORDED}
    assert {"TrainStateMachineRole", "StartQueryExecutionFunctionRole"} <= recorded
