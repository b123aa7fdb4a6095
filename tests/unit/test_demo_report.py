"""What the demo shows and writes: progress lines of jobs, the failure's reason, the summary, the report, the chart."""

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from demo.execution import Execution, explanation
from demo.history import StateRun
from demo.joblog import Progress, parse_progress
from demo.report import chart, print_report
from demo.screen import Screen
from demo.summary import Outcome, endpoint_action, evaluation_of, summarise, write_summary
from visitcast.metrics import METRICS

START = datetime(2026, 11, 23, 9, tzinfo=UTC)
SCORES = {**dict.fromkeys(METRICS), "log_loss": 2.5, "best_hour_hit_rate": 0.3, "mae_hours": 3.25}
BASELINES = {"global_histogram": {**SCORES, "log_loss": 3.0}, "tuned_histogram": {**SCORES, "log_loss": 2.6123}}
AS_SENT = {**SCORES, "log_loss": 2.5432, "baselines": {**BASELINES, "last_hour": {**SCORES, "log_loss": None}}}
SENDS = {
    "pairs": 1200,
    "dates": 12,
    "expected": 101.7,
    "realised": 99,
    "ratio": {"mean": 1.027, "low": 0.9, "high": 1.15},
}
EVALUATION = {
    "data": {"users": 5, "visit_days": 60, "train_rows": 30, "validation_rows": 5, "test_rows": 7},
    "model": SCORES,
    "baselines": BASELINES,
    "as_sent": {**AS_SENT, "intervals": {}},
    "sends": {**SENDS, "tenths": []},
    "gate": {"passed": True, "reasons": ["2.5 beats 3.0."]},
}
FORECAST = {
    "user_id": "u1",
    "date": "2026-11-24",
    "first_visit_hour": [0.5, 0.25, *[0.25 / 22] * 22],
    "visit_hour": [0.2, 0.4, *[0.0] * 22],
    "best_hour": 1,
    "confidence": 0.4,
    "source": "model",
}


def stay(name: str, second: float, seconds: float | None, **fields: Any) -> StateRun:
    entered = START + timedelta(seconds=second)
    return StateRun(name, entered, None if seconds is None else entered + timedelta(seconds=seconds), **fields)


def execution(*states: StateRun, status: str = "SUCCEEDED", error: str = "", cause: str = "") -> Execution:
    return Execution("arn:aws:states:x", status, error, cause, list(states))


def printed(summary: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=120)
    print_report(console, summary)
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("progress=0.42 reading visits", Progress(0.42, "reading visits"), id="progress"),
        pytest.param("INFO progress=1", Progress(1.0, ""), id="no text"),
        pytest.param("progress=1.7 x", Progress(1.0, "x"), id="more than all"),
        pytest.param("epoch=3/20 train_loss=2.9", Progress(0.15, "epoch 3 of 20, train_loss=2.9"), id="epoch"),
        pytest.param("epoch=3/0", None, id="no epochs"),
        pytest.param("reading visits", None, id="neither"),
        pytest.param("", None, id="empty"),
    ],
)
def test_progress_lines(line: str, expected: Progress | None) -> None:
    assert parse_progress(line) == expected


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        pytest.param("Mend it.", ["Mend it."], id="prose"),
        pytest.param(
            'Training failed. {"TrainingJobName": "t", "FailureReason": "bad {x}"}',
            ["Training failed.", "bad {x}"],
            id="job",
        ),
        pytest.param(
            'Rejected. {"errorMessage": "no such key", "stackTrace": []}', ["Rejected.", "no such key"], id="handler"
        ),
        pytest.param('Odd. {"a": 1}', ["Odd.", '{"a": 1}'], id="other description"),
        pytest.param(
            "Requests failed. "
            + json.dumps(
                {
                    "ProcessingJobName": "p",
                    "Environment": {"A": "{}"},
                    "FailureReason": "AlgorithmError: exit code: 1",
                    "ExitMessage": "The audience a.csv cannot be read.\nexpected 1 column, got 3\nSupply CSV.",
                }
            ),
            [
                "Requests failed.",
                "AlgorithmError: exit code: 1",
                "The audience a.csv cannot be read.",
                "expected 1 column, got 3",
                "Supply CSV.",
            ],
            id="processing job",
        ),
        pytest.param(
            'A query failed. {"QueryExecution": {"Query": "{}", "Status": {"StateChangeReason": "HIVE_BAD_DATA"}}}',
            ["A query failed.", "HIVE_BAD_DATA"],
            id="query",
        ),
        pytest.param(
            'Not deployed. {"errorMessage": "first"} The deployment itself: {"FailureReason": "second"}',
            ["Not deployed.", "first", "The deployment itself:", "second"],
            id="two descriptions",
        ),
        pytest.param(
            json.dumps({"errorMessage": 'Inner. {"FailureReason": "deep"}'}),
            ["Inner.", "deep"],
            id="description within",
        ),
        pytest.param("Set {of} braces", ["Set {of} braces"], id="no description"),
        pytest.param("", [], id="no cause"),
    ],
)
def test_explanation_keeps_the_reason(cause: str, expected: list[str]) -> None:
    told = explanation(execution(stay("Train", 0, 1), status="FAILED", error="E", cause=cause)).splitlines()
    assert told == ["The execution ended in 'Train': E", *expected]


def test_summary_of_a_good_run(tmp_path: Path) -> None:
    states = [
        stay("Wait", 0, 2),
        stay("Wait", 3, 2),
        stay("Read evaluation", 5, 1, output={"evaluation": {"report": EVALUATION}}),
        stay("Create endpoint", 6, 1),
    ]
    run = execution(*states)
    endpoint = {"name": "e", "config": "c", "status": "InService", "action": endpoint_action(run), "forecast": FORECAST}
    outcome = Outcome(
        seconds_total=9.0,
        seconds_setup=1.0,
        seconds_upload=0.5,
        events=100,
        execution=run,
        evaluation=evaluation_of(run),
        report=Path("build/report.html"),
        best_possible_log_loss=2.3,
        endpoint=endpoint,
    )
    summary = json.loads(write_summary(tmp_path / "new", summarise(outcome)).read_text())
    assert summary == {
        "status": "SUCCEEDED",
        "failure": None,
        "execution_arn": "arn:aws:states:x",
        "seconds": {
            "total": 9.0,
            "setup": 1.0,
            "upload": 0.5,
            "states": {"Wait": 4.0, "Read evaluation": 1.0, "Create endpoint": 1.0},
        },
        "states": ["Wait", "Wait", "Read evaluation", "Create endpoint"],
        "data": {"events": 100, **EVALUATION["data"]},
        "evaluation": {
            "as_sent": AS_SENT,
            "sends": SENDS,
            "model": SCORES,
            "baselines": EVALUATION["baselines"],
            "report": "build/report.html",
            "best_possible_log_loss": 2.3,
        },
        "gate": EVALUATION["gate"],
        "endpoint": {**endpoint, "action": "created"},
    }
    text = printed(summary)
    for part in (
        "model",
        "global_histogram",
        "last_hour",
        "best possible",
        "2.300",
        "2.543",
        "2.500",
        "2.612",
        "Gate: passed",
        "2.5 beats 3.0.",
        "InService",
    ):
        assert part in text
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["summary.json"]


def test_summary_of_a_run_that_never_began() -> None:
    summary = summarise(Outcome(failure="The region did not start."))
    assert (summary["status"], summary["states"], summary["endpoint"]["status"]) == ("FAILED", [], None)
    assert "The region did not start." in printed(summary)


@pytest.mark.parametrize(
    ("states", "status", "action"),
    [
        (["Update endpoint", "Pipeline succeeded"], "SUCCEEDED", "updated"),
        (["Create endpoint", "Pipeline succeeded"], "SUCCEEDED", "created"),
        (["Update endpoint", "Endpoint update rolled back"], "FAILED", "unchanged"),
        (["Model rejected"], "FAILED", "unchanged"),
    ],
)
def test_what_happened_to_the_endpoint(states: list[str], status: str, action: str) -> None:
    assert endpoint_action(execution(*(stay(name, 0, 1) for name in states), status=status)) == action


def test_chart_scales_each_column_and_marks_the_best_hour() -> None:
    lines = chart(FORECAST)
    assert len(lines) == 25
    assert lines[1].startswith("  00 " + 30 * "█")
    assert lines[2].startswith("→ 01 " + 15 * "█" + " ")
    assert lines[2].endswith(30 * "█" + "  40.0%")
    assert [line[0] for line in lines].count("→") == 1


def test_without_a_terminal_each_state_has_one_line() -> None:
    console = Console(file=io.StringIO(), width=100)
    train = stay("Train", 5, None, job=("createTrainingJob", "t"))
    wait = [stay("Wait", 0, 2), stay("Wait", 2, 2)]
    with Screen(console) as screen, screen.step("Start [the] region"):
        screen.states([stay("Wait", 0, None)], lambda _: None)
        screen.states([*wait, train], lambda _: Progress(0.5, "epoch 1 of 2"))
        screen.states([*wait, train], lambda _: Progress(0.9, "epoch 2 of 2"))
        ended = [stay("Train", 5, 9, caught=True), stay("Training failed", 14, 0, failed=True)]
        screen.states([*wait, *ended], lambda _: None)
        screen.states([*wait, *ended], lambda _: None)
    lines = [line.split() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert lines[:-1] == [
        ["2.0", "s", "✓", "Wait"],
        ["…", "Train"],
        ["9.0", "s", "↪", "Train", "(error", "caught)"],
        ["0.0", "s", "✗", "Training", "failed"],
    ]
    assert lines[-1][2:] == ["✓", "Start", "[the]", "region"]


def test_on_a_terminal_a_running_job_has_a_bar() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    train = stay("Train", 0, None, job=("createTrainingJob", "t"), attempts=2)
    with Screen(console) as screen:
        with screen.step("Put the events into the bucket") as progress:
            progress(0.5)
        screen.states([train], lambda _: Progress(0.5, "epoch 1 of 2"))
        screen._bars.refresh()
        screen.states([stay("Train", 0, 3)], lambda _: None)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "attempt 2 epoch 1 of 2" in shown
    assert "━" in shown
    assert "    3.0 s ✓ Train" in shown
