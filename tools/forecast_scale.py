"""Estimate time, memory and limits of the forecast workflow for a million to a hundred million users.

    python tools/forecast_scale.py [--write docs/forecasts.md]

``forecast_costs.json`` holds the costs per user that ``python -m benchmarks --only forecast storage`` measured, and
``prices.json`` Athena's price; the rest are service limits and constants of the code, named below.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import marked_part

COSTS: Final = Path(__file__).with_name("forecast_costs.json")
PRICES: Final = Path(__file__).with_name("prices.json")
MILLION: Final = 1_000_000
SIZES: Final = (MILLION, 10 * MILLION, 100 * MILLION)

MESSAGES_PER_FILE: Final = 20_000
THREADS, BATCH = 16, 10
"""As in containers/visitcast/sending/job.py and functions/hand_over/app.py; a test compares them."""
HISTORY_EVENTS: Final = 25_000
"""Limit of a Standard execution. https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"""
PAYLOAD_BYTES: Final = 262_144
"""Limit of a state's input or output; the same page."""
EVENTS_OF_A_RUN: Final = 150
"""Without the hand-over; tests/integration/test_forecast_workflow.py compares a real run with it."""
EVENTS_PER_FILE: Final = 7
"""For each file of messages: start and end of the iteration and the five events of a task."""
BYTES_PER_FILE_NAME: Final = 24
BYTES_OF_A_RUN: Final = 50_000
"""The run's plan with the text of its queries; tests/unit/test_forecast_functions.py compares a real one with it."""
PARALLEL_HAND_OVERS: Final = 10
"""MaxConcurrency of the map."""
TRANSFORM_CORES: Final = 4
PLAN_GB: Final = 32
"""Cores and memory of the default instances, ml.m5.xlarge and ml.m5.2xlarge."""
WANTED_HOURS: Final = 1.0
"""Target duration of the transform."""


@dataclass(frozen=True)
class Costs:
    """Measured costs. ``*_gb`` is the memory of a job without users and the memory that a million users add."""

    request_bytes_per_user: float
    requests_seconds_per_million: float
    requests_gb: tuple[float, float]
    transform_users_per_second_and_core: float
    plan_seconds_per_million: float
    plan_gb: tuple[float, float]
    forecast_bytes_per_user: float
    visit_days_per_user: float
    event_bytes_per_visit_day: float
    bytes_per_visit_day: float
    seconds_per_sqs_batch: float


def read_costs(file: Path = COSTS) -> Costs:
    """Read the measured costs."""
    given: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    del given["note"]
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}
    return Costs(**values)


def gigabytes(memory: tuple[float, float], users: int) -> float:
    """Return the memory of a job in GB."""
    base, per_million = memory
    return base + per_million * users / MILLION


def files(users: int) -> int:
    """Return the number of message files if every user is sent a push."""
    return math.ceil(users / MESSAGES_PER_FILE)


def history_events(users: int) -> int:
    """Return the events of an execution that hands over one message for each user."""
    return EVENTS_OF_A_RUN + EVENTS_PER_FILE * files(users)


def payload_bytes(users: int) -> int:
    """Return the size of the largest input of a state: the plan, the list of files, the hand-over's results."""
    return BYTES_OF_A_RUN + 2 * BYTES_PER_FILE_NAME * files(users)


def executions_needed(users: int, costs: Costs) -> int:
    """Return into how many executions the users must be split for memory, history and payload to suffice."""
    count = 1
    while True:
        part = math.ceil(users / count)
        if (
            gigabytes(costs.plan_gb, part) <= PLAN_GB
            and history_events(part) <= HISTORY_EVENTS
            and payload_bytes(part) <= PAYLOAD_BYTES
        ):
            return count
        count += 1


def lines(costs: Costs) -> list[tuple[str, str, Callable[[int], str]]]:
    """Return the rows of the table: name, assumptions, and the value for a number of users."""
    days = costs.visit_days_per_user
    dollars_per_tb: float = json.loads(PRICES.read_text(encoding="utf-8"))["athena_tb_scanned"]
    speed = costs.transform_users_per_second_and_core * TRANSFORM_CORES
    rate = PARALLEL_HAND_OVERS * THREADS * BATCH / costs.seconds_per_sqs_batch
    requests_gb, plan_gb = costs.requests_gb, costs.plan_gb
    return [
        (
            "the query of histories reads all events",
            f"{days:g} visit days x {costs.event_bytes_per_visit_day:g} B a user",
            lambda users: _bytes(users * days * costs.event_bytes_per_visit_day),
        ),
        (
            "that is, every day",
            f"{dollars_per_tb:g} dollars a TB",
            lambda users: _dollars(users * days * costs.event_bytes_per_visit_day, dollars_per_tb),
        ),
        (
            "from a table of visits it would be",
            f"{days:g} visit days x {costs.bytes_per_visit_day:g} B a user",
            lambda users: _dollars(users * days * costs.bytes_per_visit_day, dollars_per_tb),
        ),
        (
            "requests: time on one instance",
            f"{costs.requests_seconds_per_million:g} s a million",
            lambda users: _time(users / MILLION * costs.requests_seconds_per_million),
        ),
        (
            "requests: memory",
            f"{requests_gb[0]:g} GB + {requests_gb[1]:g} GB a million",
            lambda users: f"{gigabytes(requests_gb, users):.1f} GB",
        ),
        (
            "requests: disk, and what the transform reads",
            f"{costs.request_bytes_per_user:,.0f} B a user",
            lambda users: _bytes(users * costs.request_bytes_per_user),
        ),
        (
            "transform: time on one instance",
            f"{costs.transform_users_per_second_and_core:,.0f} users a second and core x {TRANSFORM_CORES} cores",
            lambda users: _time(users / speed),
        ),
        (
            f"transform: instances for {WANTED_HOURS:g} h",
            "the same",
            lambda users: str(math.ceil(users / speed / 3600 / WANTED_HOURS)),
        ),
        (
            "plan: time on one instance",
            f"{costs.plan_seconds_per_million:g} s a million",
            lambda users: _time(users / MILLION * costs.plan_seconds_per_million),
        ),
        (
            "plan: memory",
            f"{plan_gb[0]:g} GB + {plan_gb[1]:g} GB a million",
            lambda users: f"{gigabytes(plan_gb, users):.1f} GB",
        ),
        (
            "`visit_forecasts`, a day",
            f"{costs.forecast_bytes_per_user:g} B a user",
            lambda users: _bytes(users * costs.forecast_bytes_per_user),
        ),
        (
            "hand-over: files, one Lambda each",
            f"{MESSAGES_PER_FILE:,} messages a file",
            lambda users: f"{files(users):,}",
        ),
        (
            "hand-over: time",
            f"{PARALLEL_HAND_OVERS} Lambdas x {THREADS} threads x {BATCH} messages in "
            f"{costs.seconds_per_sqs_batch:g} s (assumed)",
            lambda users: _time(users / rate),
        ),
        (
            f"events in the history, of {HISTORY_EVENTS:,}",
            f"{EVENTS_OF_A_RUN} + {EVENTS_PER_FILE} a file",
            lambda users: f"{history_events(users):,}",
        ),
        (
            f"payload of a state, of {PAYLOAD_BYTES:,} B",
            f"{BYTES_OF_A_RUN:,} B, and a name and a result of {BYTES_PER_FILE_NAME} B for each file",
            lambda users: f"{payload_bytes(users):,} B",
        ),
        (
            "executions needed",
            f"so that the plan's {PLAN_GB} GB, history and payload suffice",
            lambda users: str(executions_needed(users, costs)),
        ),
    ]


def table(costs: Costs) -> Iterator[str]:
    """Yield the lines of the Markdown table."""
    yield "| | assumptions | " + " | ".join(f"{users // MILLION} million" for users in SIZES) + " |"
    yield "| --- | --- |" + " ---: |" * len(SIZES)
    for what, how, value in lines(costs):
        yield f"| {what} | {how} | {' | '.join(value(users) for users in SIZES)} |"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _bytes(number: float) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"


def _dollars(number: float, per_tb: float) -> str:
    return f"{number / 1024**4 * per_tb:.2f} $"


def main() -> None:
    """Print the table or write it into a document between its marks."""
    parser = argparse.ArgumentParser(description="Estimate what the forecast workflow needs by the number of users.")
    parser.add_argument("--write", type=Path, help="a Markdown file with the marks scale:begin and scale:end")
    arguments = parser.parse_args()
    lines = table(read_costs())
    if arguments.write is None:
        print(*lines, sep="\n")
    else:
        marked_part.write(arguments.write, "scale", lines)


if __name__ == "__main__":
    main()
