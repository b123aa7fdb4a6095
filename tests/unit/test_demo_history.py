"""Reading an execution's history: loops, retries, a Map's iterations side by side, failures."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from demo.history import latest_output, run_plan, seconds_by_state, state_runs

START = datetime(2026, 11, 23, 9, tzinfo=UTC)


class History:
    """Builds events the way Step Functions numbers them."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.add("ExecutionStarted", 0)

    def add(self, kind: str, second: float, previous: int | None = None, **details: Any) -> int:
        number = len(self.events) + 1
        self.events.append(
            {
                "id": number,
                "previousEventId": len(self.events) if previous is None else previous,
                "type": kind,
                "timestamp": START + timedelta(seconds=second),
                **details,
            }
        )
        return number

    def enter(self, name: str, second: float, kind: str = "Task", previous: int | None = None) -> int:
        return self.add(f"{kind}StateEntered", second, previous, stateEnteredEventDetails={"name": name})

    def leave(
        self, name: str, second: float, output: Any = None, kind: str = "Task", previous: int | None = None
    ) -> int:
        details = {"name": name, "output": json.dumps({} if output is None else output)}
        return self.add(f"{kind}StateExited", second, previous, stateExitedEventDetails=details)

    def schedule(self, second: float, resource: str, parameters: Any, previous: int | None = None) -> int:
        details = {"resource": resource, "resourceType": "sagemaker", "parameters": json.dumps(parameters)}
        return self.add("TaskScheduled", second, previous, taskScheduledEventDetails=details)


def test_a_loop_has_one_stay_for_each_round() -> None:
    history = History()
    for second in (0, 10):
        history.enter("Wait", second, "Wait")
        history.leave("Wait", second + 3, kind="Wait")
        history.enter("Look", second + 3)
        history.leave("Look", second + 4)
    history.add("ExecutionSucceeded", 14)
    runs = state_runs(history.events)
    assert [run.name for run in runs] == ["Wait", "Look", "Wait", "Look"]
    assert seconds_by_state(runs) == {"Wait": 6.0, "Look": 2.0}


def test_a_running_state_is_open_and_names_its_latest_job() -> None:
    history = History()
    history.enter("Train", 0)
    history.schedule(1, "createTrainingJob.sync", {"TrainingJobName": "train-0"})
    history.add("TaskFailed", 2)
    history.schedule(3, "createTrainingJob.sync", {"TrainingJobName": "train-1"})
    (run,) = state_runs(history.events)
    assert (run.left_at, run.job, run.attempts, run.caught) == (None, ("createTrainingJob", "train-1"), 2, False)


def test_iterations_of_a_map_run_side_by_side() -> None:
    history = History()
    outer = history.enter("Folds", 0, "Map")
    jobs = {}
    for fold in (1, 2):
        began = history.add("MapIterationStarted", 0, outer)
        entered = history.enter("Train fold", 0, previous=began)
        jobs[fold] = history.schedule(0, "createTrainingJob.sync", {"TrainingJobName": f"f{fold}"}, entered)
    last = 0
    for fold, second in ((2, 5), (1, 9)):  # the second ends first
        done = history.add("TaskSucceeded", second, jobs[fold])
        last = history.leave("Train fold", second, {"fold": fold}, previous=done)
    history.leave("Folds", 10, kind="Map", previous=last)
    folds, one, two = state_runs(history.events)
    assert (folds.name, folds.seconds) == ("Folds", 10.0)
    assert [(run.job, run.seconds, run.output) for run in (one, two)] == [
        (("createTrainingJob", "f1"), 9.0, {"fold": 1}),
        (("createTrainingJob", "f2"), 5.0, {"fold": 2}),
    ]


@pytest.mark.parametrize("end", ["ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut"])
def test_what_is_open_at_a_bad_end_has_failed(end: str) -> None:
    history = History()
    history.enter("Prepare run", 0)
    history.leave("Prepare run", 1, {"run": {"RunId": "r"}})
    history.enter("Preprocess", 1)
    history.schedule(1, "createProcessingJob.sync", {"ProcessingJobName": "p"})
    history.add(end, 7)
    runs = state_runs(history.events)
    assert [(run.name, run.failed, run.seconds) for run in runs] == [
        ("Prepare run", False, 1.0),
        ("Preprocess", True, 6.0),
    ]
    assert run_plan(runs) == {"RunId": "r"}


def test_a_caught_error_marks_the_task_and_the_fail_state() -> None:
    history = History()
    history.enter("Train", 0)
    history.schedule(0, "createTrainingJob.sync", {"TrainingJobName": "t"})
    history.add("TaskFailed", 3)
    history.leave("Train", 3)
    history.enter("Training failed", 3, "Fail")
    history.add("ExecutionFailed", 3)
    assert [(run.name, run.caught, run.failed) for run in state_runs(history.events)] == [
        ("Train", True, False),
        ("Training failed", False, True),
    ]


def test_the_latest_output_wins() -> None:
    history = History()
    for second, value in ((0, 1), (2, 2)):
        history.enter("Get", second)
        history.leave("Get", second + 1, {"endpoint": value})
    runs = state_runs(history.events)
    assert latest_output(runs, "endpoint") == 2
    assert latest_output(runs, "nothing") is None
    assert run_plan(runs) == {}
