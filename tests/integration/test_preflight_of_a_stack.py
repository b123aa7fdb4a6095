"""The preflight of a stack that is deployed already, and of another one with the same names."""

from __future__ import annotations

from deployed_stack import PARAMETERS, STACK_NAME, Stack
from deployment import read_deployment
from preflight import Account, check_stack, taken_names
from prove_steps import OWN_KEY


def test_names_are_the_stacks_own_and_taken_for_any_other(stack: Stack) -> None:
    account, own = Account(), read_deployment("local", STACK_NAME, PARAMETERS)
    assert taken_names(account, own) == []
    (check,) = check_stack(account, own)
    assert check.found == f"{STACK_NAME} is CREATE_COMPLETE: sam deploy updates it"

    other = read_deployment("local", "another", PARAMETERS)
    taken = {name.rpartition(" ")[2] for name in taken_names(account, other)}
    assert {name for _, name in other.fixed_names()} <= taken
    assert list(account.listed(OWN_KEY, StackName=STACK_NAME))
