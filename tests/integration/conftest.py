"""One region and one deployed stack for all tests of the workflow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from deployed_stack import PARAMETERS, QUICK, STACK_NAME, EmptyRegion, Production, Stack
from iam_stack import read_stack
from judged_roles import require_allowed
from sam_commands import build, delete, deploy, local_region, region_environment, stack_outputs

from demo.simulator import World, simulate
from demo.upload import partition_files, replace_events

WORLD = World(users=60, days=60, end=date(2026, 10, 31), seed=7)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack with simulated events in its bucket.

    When all tests have run it is deleted, and all that its roles did is judged by their policies: in the runs of all
    tests, with every fault, retry and abort, and in leaving.
    """
    if name := os.environ.get("VISITCAST_TEST_STACK"):
        yield Stack(stack_outputs(name), os.environ.get("AWS_ENDPOINT_URL", ""), Path())
        return
    home = tmp_path_factory.mktemp("region")
    with pytest.MonkeyPatch.context() as patch, local_region(home) as url:
        for variable, value in region_environment(home).items():
            patch.setenv(variable, value)
        outputs = deploy(tmp_path_factory.mktemp("build"), **PARAMETERS)
        found = Stack(outputs, url, home)
        events = pa.concat_tables(block.events for block in simulate(WORLD))
        replace_events(found.s3, found.bucket, dict(partition_files(events)), lambda _: None)
        yield found
        roles = read_stack(STACK_NAME)
        delete(STACK_NAME)
        require_allowed(roles, home, STACK_NAME)


@pytest.fixture(scope="session")
def started_region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmptyRegion]:
    """A region beside the stack's for all tests that deploy and delete stacks of their own."""
    folder = tmp_path_factory.mktemp("empty")
    with local_region(folder / "region"):
        build(folder / "build")
        yield EmptyRegion(folder / "region", folder / "build", region_environment(folder / "region"))


@pytest.fixture
def empty_region(started_region: EmptyRegion, monkeypatch: pytest.MonkeyPatch) -> EmptyRegion:
    """The region to which AWS clients lead during the test; each test leaves it as empty as it was."""
    for variable, value in started_region.variables.items():
        monkeypatch.setenv(variable, value)
    return started_region


@pytest.fixture(autouse=True)
def _no_fault_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "stack" in request.fixturenames:
        request.getfixturevalue("stack").lift_faults()


@pytest.fixture(scope="session")
def production(stack: Stack) -> Production:
    """A first run that succeeded: there is a model in production from here on."""
    return Production(stack, stack.run(QUICK))


@pytest.fixture
def unharmed(stack: Stack, production: Production) -> Iterator[None]:
    """After a failure: nothing that was written is lost or changed, and the production endpoint answers as before."""
    before = stack.keys("runs/")
    answer = production.forecast()
    yield
    after = stack.keys("runs/")
    assert {key: after.get(key) for key in before} == before
    assert production.forecast() == answer
