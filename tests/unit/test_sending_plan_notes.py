"""What the plan job says of a plan that is empty, moved by capacity, cut off by the run's instant or the baseline's."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sending_folder import again, answer_to, run_plan, run_requests, sending_folder, write_answers, write_campaign

from visitcast.__main__ import main


@pytest.fixture
def opt_ml(tmp_path, monkeypatch):
    return sending_folder(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Weekdays": ["Monday", "Saturday"]}, "2026-11-24 is a Tuesday, on which this campaign does not send."),
        ({"DatesWithoutSends": ["2026-11-24", "2026-12-25"]}, "2026-11-24 is a date without sends."),
    ],
)
def test_on_a_date_without_sends_only_forecasts_are_published(opt_ml, changes, reason):
    write_campaign(opt_ml, **changes)
    _, lines, users = run_requests(opt_ml)
    report, forecasts, plans, messages = run_plan(opt_ml, lines)
    assert len(forecasts) == len(users)
    assert (len(plans), messages, report["message_files"]) == (0, [], [])
    assert report["sends"]["barred"] == len(users)
    assert report["notes"] == [f"No push is planned: {reason}"]


def test_the_report_says_what_full_hours_cost(opt_ml):
    _, lines, users = run_requests(opt_ml)
    assert run_plan(opt_ml, lines)[0]["notes"] == []
    control = {"Salt": "test", "GlobalBestHourShare": 0, "RandomHourShare": 0, "NoPushShare": 0}
    write_campaign(opt_ml, LargestHourShare=0.05, Control=control)
    report, forecasts, plans, _ = again(opt_ml, lines)
    chances = np.stack(forecasts.visit_hour.to_list())[:, 7:22] * forecasts.visit_probability.to_numpy()[:, None]
    best = 7 + chances.argmax(axis=1)
    moved = int((plans.send_hour != pd.Series(best, forecasts.index)[plans.index]).sum())
    loss = 1 - plans.chance.sum() / chances.max(axis=1).sum()
    assert report["sends"]["loss"] == pytest.approx(loss)
    assert 0 < report["sends"]["moved"] == moved < len(plans) < len(users)
    (note,) = report["notes"]
    assert f"{moved} of {len(plans)} users ({moved / len(plans):.0%}) get the push at another hour" in note
    assert f"{len(users) - len(plans)} get none, since at most 5% of the users" in note
    assert f"This costs {loss:.1%} of the visits" in note


@pytest.mark.parametrize("source", ["model", "baseline"])
def test_the_baseline_is_marked_and_judged_by_its_own_figures(opt_ml, source):
    _, lines, _ = run_requests(opt_ml, users=400)
    answers = [answer_to(line) for line in lines]
    of_baseline = [answer | {"source": source if answer["source"] == "model" else "prior"} for answer in answers]
    write_answers(opt_ml, of_baseline)
    # The model's forecasts were of another kind, and a good deal better, than what came of the baseline's.
    counts = [0] * 23 + [1000]
    of_model = {"forecast: best hour": counts, "forecast: first visit hour": counts}
    weekdays = {str(day): of_model for day in range(7)}
    evaluation = {
        "profile": weekdays,
        "as_sent": {
            "log_loss": 1.0,
            "best_hour_hit_rate": 0.9,
            "baselines": {"tuned_histogram": {"log_loss": 2.6123, "best_hour_hit_rate": 0.31}},
        },
    }
    (opt_ml / "input/reference/evaluation.json").write_text(json.dumps(evaluation))
    (opt_ml / "input/outcomes/q.csv").write_text(
        '"rows","users","log_loss","log_loss_deviation","best_hour_hit_rate"\n"3000","3000","2.6","0.5","0.3"\n'
    )
    main(["plan"])
    report = json.loads((opt_ml / "output/report/report.json").read_text())
    plans = pq.read_table(opt_ml / "output/plans").to_pandas()
    forecasts = pq.read_table(opt_ml / "output/forecasts").to_pandas()
    assert set(plans.source) == set(forecasts.source) == set(report["sources"]) == {source, "prior"}
    assert report["drift"]["alarm"] is (source == "model")
    if source == "baseline":
        (note,) = report["notes"]
        assert "the gate rejected the newest one" in note
        assert "a log loss of 2.612 nats and a hit rate of 0.310" in note
    else:
        assert report["notes"] == []


def test_no_push_is_planned_before_the_run(opt_ml, monkeypatch):
    _, lines, users = run_requests(opt_ml)
    monkeypatch.setenv("VISITCAST_AS_OF", "2026-11-24T12:00:01Z")
    report, _, plans, _ = run_plan(opt_ml, lines)
    assert (plans.send_at_utc >= "2026-11-24T12:01").all()
    assert report["sends"]["barred"] == len(users) - len(plans)
