"""The order of the steps of a proof, what runs after one that fails, and the reports. The steps are fakes here."""

from __future__ import annotations

import io
import json
import re
import signal
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import prove
import prove_report
import pytest
from proof import Proof, billed_hours
from prove_steps import CLEANING, STEPS
from rich.console import Console

from demo.errors import DemoError

ROOT = Path(__file__).resolve().parents[2]
PROVEN = ROOT / "docs/proven.md"


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the steps that were taken; each does nothing, but Deploy has deployed."""
    names: list[str] = []

    def fake(name: str) -> Callable[[Proof], dict[str, Any]]:
        def step(proof: Proof) -> dict[str, Any]:
            names.append(name)
            if name == "Deploy":
                proof.deployed_at = 1.0
            return {"done": name}

        return step

    for name, promise in STEPS.items():
        monkeypatch.setitem(STEPS, name, promise._replace(take=fake(name)))
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    return names


def fails(name: str, error: BaseException, monkeypatch: pytest.MonkeyPatch, taken: list[str]) -> None:
    def step(proof: Proof) -> dict[str, Any]:
        taken.append(name)
        if name == "Deploy":
            proof.deployed_at = 1.0
        raise error

    monkeypatch.setitem(STEPS, name, STEPS[name]._replace(take=step))


def run(folder: Path, record: Path | None = None) -> tuple[int, dict[str, Any]]:
    code = prove.prove("dev", folder, Console(file=io.StringIO()), record)
    return code, json.loads((folder / "report.json").read_text(encoding="utf-8"))


def test_all_steps_in_order(tmp_path: Path, taken: list[str]) -> None:
    code, report = run(tmp_path)
    assert (code, report["proven"], report["place"]) == (0, True, "AWS, eu-central-1")
    assert taken == list(STEPS)
    assert [step["answer"] for step in report["steps"]] == [{"done": name} for name in STEPS]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert re.search(r"<h1>.*>Proven<.*>AWS, eu-central-1, ", page)
    assert all(name in page for name in STEPS)


@pytest.mark.parametrize("name", ["Deploy", "Forecast"])
def test_after_a_failed_step_everything_is_deleted(
    tmp_path: Path, taken: list[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    fails(name, DemoError("<No>", "cause", "remedy"), monkeypatch, taken)
    code, report = run(tmp_path)
    before = list(STEPS)[: list(STEPS).index(name) + 1]
    assert code == 1
    assert taken == [*before, *CLEANING]
    status = {step["name"]: step["status"] for step in report["steps"]}
    assert status[name] == "failed"
    assert {status[other] for other in (*before[:-1], *CLEANING)} == {"proven"}
    assert status["Rollback"] == "not run"
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert re.search(r"<h1>.*>Not proven<", page)
    assert "&lt;No&gt;" in page


def test_nothing_is_deleted_that_the_proof_did_not_deploy(
    tmp_path: Path, taken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fails("Preflight", DemoError("no", "the stack exists", "delete it"), monkeypatch, taken)
    assert run(tmp_path)[0] == 1
    assert taken == ["Preflight"]


def test_ctrl_c_deletes_everything_and_a_second_one_does_not_stop_that(
    tmp_path: Path, taken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fails("First training run", KeyboardInterrupt(), monkeypatch, taken)
    deletion = STEPS["Delete"]

    def delete(proof: Proof) -> dict[str, Any]:
        signal.raise_signal(signal.SIGINT)
        return deletion.take(proof)

    monkeypatch.setitem(STEPS, "Delete", deletion._replace(take=delete))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)
    assert taken[-3:] == ["First training run", *CLEANING]
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert [step["status"] for step in report["steps"] if step["name"] == "First training run"] == ["failed"]


def test_a_deletion_that_fails_is_reported_and_what_is_left_looked_for(
    tmp_path: Path, taken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fails("Delete", DemoError("DELETE_FAILED", "cause", "remedy"), monkeypatch, taken)
    code, report = run(tmp_path)
    assert (code, report["proven"]) == (1, False)
    assert taken[-1] == "Nothing is left"


def event(number: int, kind: str, seconds: float, before: int, **details: Any) -> dict[str, Any]:
    at = datetime(2026, 11, 26, tzinfo=UTC) + timedelta(seconds=seconds)
    return {"id": number, "type": kind, "timestamp": at, "previousEventId": before, **details}


def scheduled(resource: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"taskScheduledEventDetails": {"resource": resource, "parameters": json.dumps(parameters)}}


def test_the_bill_counts_the_instances_of_jobs_from_request_to_end() -> None:
    train = scheduled("createTrainingJob.sync", {"ResourceConfig": {"InstanceType": "ml.m5.xlarge"}})
    transform = scheduled(
        "createTransformJob.sync", {"TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 2}}
    )
    config = scheduled("createEndpointConfig", {"ProductionVariants": [{"InstanceType": "ml.t2.medium"}]})
    events = [
        event(1, "TaskScheduled", 0, 0, **train),
        event(2, "TaskScheduled", 0, 0, **transform),  # at the same time
        event(3, "TaskSubmitted", 1, 1),
        event(4, "TaskSucceeded", 3600, 3),
        event(5, "TaskFailed", 1800, 2),
        event(6, "TaskScheduled", 3600, 4, **config),
        event(7, "TaskSucceeded", 3601, 6),
    ]
    assert billed_hours(events) == {"ml.m5.xlarge": 1.0, "ml.m5.large": 1.0}


def test_a_proof_is_recorded_in_the_column_of_its_place(tmp_path: Path) -> None:
    document = tmp_path / "proven.md"
    document.write_text("# Before\n<!-- proven:begin -->\n<!-- proven:end -->\nafter\n", encoding="utf-8")
    steps = [prove_report.Step(name, promise.text, "proven") for name, promise in STEPS.items()]
    for place, day in (("local region", 1), ("AWS, eu-central-1", 2), ("local region", 3)):
        report = prove_report.Report(place, "0123456789abcdef", datetime(2027, 1, day, tzinfo=UTC), steps)
        prove_report.record(report, document)
    for row, (name, promise) in zip(prove_report.rows(document), STEPS.items(), strict=True):
        assert row == [name, promise.text, "2027-01-03 0123456789", "2027-01-02 eu-central-1 0123456789"]
    text = document.read_text(encoding="utf-8")
    assert (text.startswith("# Before\n"), text.endswith("after\n")) == (True, True)


def test_the_document_has_every_step_and_claims_no_more_than_was_recorded() -> None:
    found = list(prove_report.rows(PROVEN))
    assert [row[:2] for row in found] == [[name, promise.text] for name, promise in STEPS.items()]
    for _, _, locally, on_aws in found:
        assert date.fromisoformat(locally.split()[0]) <= datetime.now(UTC).date()
        assert on_aws == prove_report.NOT_YET or date.fromisoformat(on_aws.split()[0])
