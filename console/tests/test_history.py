"""Stays in states from the events of a history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from console.data.history import CAUGHT, FAILED, RUNNING, STOPPED, SUCCEEDED, Stay, stays

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


def events(*given: tuple[str, int, dict[str, Any]]) -> list[dict[str, Any]]:
    """Events of type, previous event and details, a second apart."""
    return [
        {"id": number, "type": kind, "previousEventId": previous, "timestamp": NOON + timedelta(seconds=number)}
        | details
        for number, (kind, previous, details) in enumerate(given, 1)
    ]


def entered(name: str) -> dict[str, Any]:
    return {"stateEnteredEventDetails": {"name": name}}


def left(name: str) -> dict[str, Any]:
    return {"stateExitedEventDetails": {"name": name}}


def job(name: str) -> dict[str, Any]:
    return {
        "taskScheduledEventDetails": {
            "resource": "createTrainingJob.sync",
            "parameters": f'{{"TrainingJobName": "{name}"}}',
        }
    }


def summary(found: list[Stay]) -> list[tuple[str, str, int]]:
    return [(stay.name, stay.status, stay.attempts) for stay in found]


def test_a_retry_is_a_second_attempt_with_a_job_of_its_own() -> None:
    given = events(
        ("ExecutionStarted", 0, {}),
        ("TaskStateEntered", 1, entered("Train")),
        ("TaskScheduled", 2, job("one")),
        ("TaskFailed", 3, {"taskFailedEventDetails": {"error": "SageMaker.Broken", "cause": "no power"}}),
        ("TaskScheduled", 4, job("two")),
    )
    (stay,) = stays(given)
    assert (stay.status, stay.attempts, stay.jobs) == (
        RUNNING,
        2,
        [("createTrainingJob", "one"), ("createTrainingJob", "two")],
    )
    assert (stay.error, stay.cause) == ("SageMaker.Broken", "no power")
    assert stay.seconds(NOON + timedelta(seconds=10)) == 8


def test_an_error_that_a_catch_handles_is_not_a_failure() -> None:
    given = events(
        ("TaskStateEntered", 0, entered("Describe")),
        ("TaskScheduled", 1, {}),
        ("TaskFailed", 2, {"taskFailedEventDetails": {"error": "NotFound", "cause": '{"errorMessage": "none"}'}}),
        ("TaskStateExited", 3, left("Describe")),
        ("FailStateEntered", 4, entered("Over")),
        ("ExecutionFailed", 5, {"executionFailedEventDetails": {"error": "E", "cause": "C"}}),
    )
    found = stays(given)
    assert summary(found) == [("Describe", CAUGHT, 1), ("Over", FAILED, 0)]
    assert (found[0].cause, found[1].error) == ("none", "E")


def test_what_was_running_when_a_run_is_stopped_is_stopped() -> None:
    given = events(
        ("WaitStateEntered", 0, entered("Wait")), ("ExecutionAborted", 1, {"executionAbortedEventDetails": {}})
    )
    assert summary(stays(given)) == [("Wait", STOPPED, 0)]


def test_iterations_of_a_map_that_run_at_the_same_time_are_kept_apart() -> None:
    given = events(
        ("MapStateEntered", 0, entered("Each")),
        ("MapIterationStarted", 1, {}),
        ("MapIterationStarted", 1, {}),
        ("PassStateEntered", 2, entered("One")),
        ("PassStateEntered", 3, entered("One")),
        ("PassStateExited", 5, left("One")),
        ("PassStateExited", 4, left("One")),
        ("MapStateExited", 7, left("Each")),
    )
    found = stays(given)
    assert summary(found) == [("Each", SUCCEEDED, 0), ("One", SUCCEEDED, 0), ("One", SUCCEEDED, 0)]
    assert [stay.depth for stay in found] == [0, 1, 1]
    assert [(stay.left - stay.entered).seconds for stay in found if stay.left] == [7, 3, 1]
