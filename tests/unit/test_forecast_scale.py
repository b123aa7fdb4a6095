"""The estimate for many users: its constants are those of the code, its limits hold, and the document shows it."""

from __future__ import annotations

import ast

import forecast_scale as scale
import marked_part
import pytest

from visitcast.sending.job import MESSAGES_PER_FILE

COSTS = scale.read_costs()


def test_the_constants_are_those_of_the_code() -> None:
    source = (scale.COSTS.parents[1] / "functions/hand_over/app.py").read_text(encoding="utf-8")
    hand_over = {
        target.id: ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert (hand_over["THREADS"], hand_over["BATCH"]) == (scale.THREADS, scale.BATCH)
    assert scale.MESSAGES_PER_FILE == MESSAGES_PER_FILE


def test_the_document_shows_the_scripts_table() -> None:
    shown = marked_part.read(scale.COSTS.parents[1] / "docs/forecasts.md", "scale")
    assert shown == list(scale.table(COSTS)), "run: python tools/forecast_scale.py --write docs/forecasts.md"


@pytest.mark.parametrize("users", [1, 1_000_000, 100_000_000, 1_000_000_000])
def test_so_many_executions_suffice_and_one_less_does_not(users: int) -> None:
    def suffices(part: int) -> bool:
        return (
            scale.gigabytes(COSTS.plan_gb, part) <= scale.PLAN_GB
            and scale.history_events(part) <= scale.HISTORY_EVENTS
            and scale.payload_bytes(part) <= scale.PAYLOAD_BYTES
        )

    count = scale.executions_needed(users, COSTS)
    assert suffices(-(-users // count))
    assert count == 1 or not suffices(-(-users // (count - 1)))
