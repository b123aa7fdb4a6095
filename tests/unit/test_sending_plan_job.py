"""The job after a batch transform whose answers are made here."""

import json
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sending_folder import (
    DATE,
    again,
    answer_to,
    run_plan,
    run_requests,
    sending_folder,
    write_answers,
    write_campaign,
    write_log,
    write_pushes,
)

from visitcast.__main__ import main
from visitcast.data.calendar import days_since_epoch
from visitcast.errors import InputError
from visitcast.sending import job


@pytest.fixture
def opt_ml(tmp_path, monkeypatch):
    return sending_folder(tmp_path, monkeypatch)


def test_tables_messages_and_report_agree(opt_ml):
    _, lines, users = run_requests(opt_ml, audience=[{"user_id": "new", "time_zone": "Asia/Kolkata"}])
    report, forecasts, plans, messages = run_plan(opt_ml, lines)
    assert set(forecasts.index) == set(users.index)
    assert report["users"] == len(users)
    assert report["sources"] == {
        "model": int((users.history_days >= 3).sum()),
        "prior": int((users.history_days < 3).sum()),
    }
    assert plans.source.to_dict() == forecasts.source.to_dict()
    withheld = plans.index[plans.arm == "no_push"]
    assert set(plans.index) == set(users.index)
    assert (plans.withheld.dropna() == "no_push").all()
    assert set(plans.index[plans.withheld.notna()]) == set(withheld) != set()
    assert {message["user_id"] for message in messages} == set(users.index) - set(withheld)
    assert report["sends"]["planned"] == len(messages) == len(users) - len(withheld)
    assert report["sends"]["withheld"] == {"no_push": len(withheld)}
    hours = np.stack(forecasts.loc[plans.index, "visit_hour"].to_list())[np.arange(len(plans)), plans.send_hour]
    np.testing.assert_allclose(plans.chance, forecasts.visit_probability[plans.index] * hours, rtol=1e-6)
    assert plans.index[plans.chance.isna()].to_list() == ["new"]
    expected = report["sends"]["expected_visits"]
    sent = plans.chance[plans.withheld.isna()]
    assert expected == {"value": pytest.approx(sent.sum()), "low": None, "high": None, "unknown_users": 1}
    assert "not yet known" in report["expectation"][0]
    assert sum(report["sends"]["by_arm"].values()) == len(users)
    treated = plans[plans.arm == "best_hour"]
    chances = np.stack(forecasts.loc[treated.index, "visit_hour"].to_list())[:, 7:22]
    np.testing.assert_array_equal(treated.send_hour, 7 + chances.argmax(axis=1))
    assert plans.loc["new", "send_at_local"] - plans.loc["new", "send_at_utc"] == pd.Timedelta(hours=5, minutes=30)
    assert (plans.send_at_local.dt.hour == plans.send_hour).all()
    by_user = {message["user_id"]: message for message in messages}
    one = by_user["new"]
    assert one["send_at_utc"] == plans.loc["new", "send_at_utc"].strftime("%Y-%m-%dT%H:%M:%SZ")
    assert one["chance"] is None
    assert len({message["idempotency_key"] for message in messages}) == len(messages)
    assert not report["drift"]["alarm"]


def test_the_same_run_again_gives_the_same_plan(opt_ml):
    _, lines, _ = run_requests(opt_ml)
    first = run_plan(opt_ml, lines)[3]
    for name in ("forecasts", "plans", "messages", "report"):
        (opt_ml / "output" / name).rename(opt_ml / f"old-{name}")
    assert run_plan(opt_ml, lines)[3] == first


def test_the_gap_since_the_last_push_is_kept(opt_ml):
    pushed = {"user_id": "user-0001", "last_push_at": "2026-11-23T22:00:00Z"}
    long_ago = {"user_id": "user-0002", "last_push_at": "2026-11-20T22:00:00Z"}
    _, lines, _ = run_requests(opt_ml, audience=[pushed, long_ago])
    report, _, plans, _ = run_plan(opt_ml, lines)
    assert plans.loc["user-0001", "send_at_utc"] >= pd.Timestamp("2026-11-24T18:00")
    assert report["sends"]["barred"] == 0


def test_pushes_of_all_campaigns_count_and_who_opted_out_gets_none(opt_ml):
    _, lines, users = run_requests(opt_ml)
    day = days_since_epoch(DATE)
    at_22 = (day - 1) * 24 * 60 + 22 * 60
    write_pushes(
        opt_ml,
        [
            ("user-0001", [(at_22, day - 1)], 0),
            ("user-0002", [(day * 24 * 60 - 5000, day)], 0),
            ("user-0003", [((day - back) * 24 * 60, day - back) for back in range(2, 9)], 0),
            ("user-0004", [((day - back) * 24 * 60, day - back) for back in range(2, 7)], 1),
            ("user-0005", [], 1),
            ("a stranger", [(at_22, day)], 1),
        ],
    )
    report, _, plans, messages = run_plan(opt_ml, lines)
    assert plans.loc["user-0001", "send_at_utc"] >= pd.Timestamp("2026-11-24T18:00")
    assert "user-0002" not in plans.index  # the day has one
    assert "user-0003" in plans.index  # five of its seven are in a week with the date
    assert set(plans.index[plans.withheld == "opted_out"]) == {"user-0004", "user-0005"}
    assert not {message["user_id"] for message in messages} & {"user-0002", "user-0004", "user-0005"}
    assert report["sends"]["barred"] == 1
    assert report["sends"]["withheld"]["opted_out"] == 2
    assert len(plans) == len(users) - 1


@pytest.mark.parametrize(
    "text", ['"user_id","pushed_at"\n', '"user_id","pushed_at","pushed_on","opted_out"\n"user-0001","x","1","0"\n']
)
def test_pushes_that_cannot_be_read_are_refused(opt_ml, text):
    _, lines, _ = run_requests(opt_ml)
    (opt_ml / "input/pushes/q.csv").write_text(text)
    with pytest.raises(InputError, match="cannot be read"):
        run_plan(opt_ml, lines)
    assert not (opt_ml / "output/plans").exists()


def test_each_file_of_messages_has_its_rows_on_record(opt_ml, monkeypatch):
    monkeypatch.setattr(job, "MESSAGES_PER_FILE", 7)
    _, lines, _ = run_requests(opt_ml)
    report, _, plans, messages = run_plan(opt_ml, lines)
    records = [
        pq.read_table((opt_ml / "output/messages" / name).with_suffix(".parquet")) for name in report["message_files"]
    ]
    assert len(records) == -(-len(plans) // 7)
    assert pa.concat_tables(records).to_pandas().set_index("user_id").equals(plans)
    for name, record in zip(report["message_files"], records, strict=True):
        users = [json.loads(line)["user_id"] for line in (opt_ml / "output/messages" / name).open()]
        assert users == [row["user_id"] for row in record.to_pylist() if row["withheld"] is None]
    assert sum(record.num_rows for record in records) > len(messages)


def test_a_plan_that_is_made_again_overwrites_all_files_of_the_first(opt_ml, monkeypatch):
    monkeypatch.setattr(job, "ROWS_PER_FILE", 15)
    _, lines, users = run_requests(opt_ml)
    run_plan(opt_ml, lines)
    first = {file.name for file in (opt_ml / "output/plans").iterdir()}
    day = days_since_epoch(DATE)
    write_pushes(opt_ml, [(user, [(day * 24 * 60, day)], 0) for user in users.index[:30]])
    _, _, plans, _ = again(opt_ml, lines)
    assert {file.name for file in (opt_ml / "output/plans").iterdir()} == first
    assert len(plans) == len(users) - 30


@pytest.mark.parametrize("policy", ["visits", "response"])
def test_the_hours_follow_the_response_only_where_that_is_wanted_and_better(opt_ml, policy):
    _, lines, _ = run_requests(opt_ml)
    write_campaign(opt_ml, Policy=policy)
    report, forecasts, plans, _ = run_plan(opt_ml, lines)
    best_hours = plans.send_hour[plans.arm == "best_hour"]
    chances = np.stack(forecasts.loc[best_hours.index, "visit_hour"].to_list())[:, 7:22]
    assert (best_hours == 7 + chances.argmax(axis=1)).all()
    assert report["policy"]["followed"] is False
    assert report["expectation"][-1] == "Hours by response: not enough sends, 0 of 1,000"

    write_log(opt_ml)
    report, _, plans, _ = again(opt_ml, lines)
    assert report["policy"]["verdict"] == "better"
    assert report["policy"]["gain"]["value"] == pytest.approx(0.3 * 0.9 * 14 / 15, abs=0.05)
    assert report["policy"]["followed"] is (policy == "response")
    assert report["expectation"][-1].startswith("By response against the best hour: better, ")
    at_response = (plans.send_hour[plans.arm == "best_hour"] == 20).mean()
    assert (at_response > 0.9) == (policy == "response")
    # Exploration goes on.
    assert plans.send_hour[plans.arm == "random_hour"].nunique() > 1


def test_no_hour_takes_more_than_its_share(opt_ml):
    control = {"Salt": "test", "GlobalBestHourShare": 0.02, "RandomHourShare": 0.02, "NoPushShare": 0.02}
    write_campaign(opt_ml, LargestHourShare=0.1, Control=control)
    _, lines, users = run_requests(opt_ml, users=60)
    report, _, plans, _ = run_plan(opt_ml, lines)
    assert plans.send_at_utc.dt.floor("h").value_counts().max() <= 6
    assert max(report["sends"]["by_utc_hour"].values()) <= 6
    assert len(plans) + report["sends"]["no_room"] == len(users)


@pytest.mark.parametrize("text", [None, "", "[]", '{"Name": "daily"}'], ids=["missing", "empty", "list", "key"])
def test_a_campaign_that_cannot_be_read_is_refused(opt_ml, text):
    _, lines, _ = run_requests(opt_ml)
    write_answers(opt_ml, [answer_to(line) for line in lines])
    file = opt_ml / "input/campaign/campaign.json"
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    with pytest.raises(InputError, match=r"campaign\.json is not a campaign"):
        main(["plan"])
    assert not (opt_ml / "output/plans").exists()


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        pytest.param(lambda answers: answers[1:], "asked for and not answered", id="missing"),
        pytest.param(lambda answers: [*answers, answers[0]], "answered twice", id="twice"),
        pytest.param(lambda answers: [*answers, {**answers[0], "user_id": "x"}], "not asked for", id="stranger"),
        pytest.param(lambda answers: [{**answers[0], "date": "2026-11-25"}, *answers[1:]], "is not for", id="date"),
        pytest.param(
            lambda answers: [{**answers[0], "first_visit_hour": [0.1] * 24}, *answers[1:]], "sum to 1", id="sum"
        ),
        pytest.param(
            lambda answers: [{**answers[0], "first_visit_hour": [0.5] * 2}, *answers[1:]], "24 hours", id="length"
        ),
        pytest.param(
            lambda answers: [{**answers[0], "visit_hour": [1.5] + [0.1] * 23}, *answers[1:]],
            "outside 0 to 1",
            id="range",
        ),
        pytest.param(
            lambda answers: [{**answers[0], "visit_hour": [None] + [0.1] * 23}, *answers[1:]], "contains NaN", id="NaN"
        ),
        pytest.param(
            lambda answers: [{**answers[0], "visit_probability": -0.1}, *answers[1:]], "probability of a", id="comes"
        ),
        pytest.param(
            lambda answers: [{**answers[0], "visit_probability": None}, *answers[1:]], "no probability", id="no comes"
        ),
        pytest.param(lambda answers: [{**answers[0], "source": "mixed"}, *answers[1:]], "a source other", id="source"),
    ],
)
def test_unsound_forecasts_are_not_published(opt_ml, spoil, rule):
    _, lines, _ = run_requests(opt_ml)
    write_answers(opt_ml, spoil([answer_to(line) for line in lines]))
    with pytest.raises(InputError) as error:
        main(["plan"])
    assert rule in str(error.value)
    assert not any((opt_ml / "output" / name).exists() for name in ("forecasts", "plans", "messages", "report"))


def test_drift_is_reported(opt_ml):
    _, lines, _ = run_requests(opt_ml, users=300)
    run_plan(opt_ml, lines)
    profile = json.loads((opt_ml / "output/report/profile.json").read_text())
    active = sum(profile["input: platform"])
    assert active >= 200
    trained = {**profile, "input: platform": [4000, 0, 0, 0]}
    (opt_ml / "input/reference/profile.json").write_text(json.dumps(profile))
    evaluation = {"as_sent": {"log_loss": 2.4, "best_hour_hit_rate": 0.5}, "profile": {"1": trained, "0": profile}}
    (opt_ml / "input/reference/evaluation.json").write_text(json.dumps(evaluation))
    (opt_ml / "input/outcomes/q.csv").write_text(
        '"rows","users","log_loss","log_loss_deviation","best_hour_hit_rate"\n"900","800","2.9","0.8","0.51"\n'
    )
    report = again(opt_ml, lines)[0]
    assert report["drift"]["alarm"]
    assert [reason.split(":")[0] for reason in report["drift"]["reasons"]] == [
        "input",
        "realised log loss 2.900 is 0.500 nats above the evaluation's, limit 0.150",
    ]
    assert "platform has shifted against training data" in report["drift"]["reasons"][0]
    assert max(report["drift"]["psi"]["four weeks ago"].values()) == 0
    found = {metric["MetricName"]: metric["Value"] for metric in report["metrics"]}
    assert found["drift_limits_passed"] == 2
    assert found["drift_largest_psi"] == max(report["drift"]["psi"]["training data"].values())
    assert (found["realised_log_loss"], found["realised_best_hour_hit_rate"]) == (2.9, 0.51)


def test_a_run_is_compared_with_its_own_weekday(opt_ml):
    _, lines, _ = run_requests(opt_ml, users=300)
    run_plan(opt_ml, lines)
    profile = json.loads((opt_ml / "output/report/profile.json").read_text())
    other = {**profile, "input: platform": [4000, 0, 0, 0]}
    # The 24th of November 2026 is a Tuesday.
    by_weekday = {str(day): profile if day == 1 else other for day in range(7)}
    evaluation = {"as_sent": {"log_loss": 2.4, "best_hour_hit_rate": 0.5}, "profile": by_weekday}
    (opt_ml / "input/reference/evaluation.json").write_text(json.dumps(evaluation))
    assert again(opt_ml, lines)[0]["drift"]["reasons"] == []


def test_closed_dates_correct_the_chances_and_give_the_interval(opt_ml):
    _, lines, _ = run_requests(opt_ml)
    before = run_plan(opt_ml, lines)[2]
    rows = ['"outcome","dt","quarter_of_log_odds","rows","forecast","expected","variance","realised"']
    for day in range(1, 29):
        rows += [
            f'"visitors","2026-10-{day:02}","-4","1000","250","250","180","400"',
            f'"sends","2026-10-{day:02}","-9","900","72","90","80","90"',
        ]
    (opt_ml / "input/realised/q.csv").write_text("\n".join(rows) + "\n")
    report, forecasts, plans, _ = again(opt_ml, lines)
    closed = report["closed_dates"]
    assert (closed["dates"], closed["expected"], closed["realised"], closed["common"]) == (28, 2520, 2520, 0)
    slope, shift = closed["correction"]["slope"], closed["correction"]["shift"]
    assert slope * np.log(0.25 / 0.75) + shift == pytest.approx(np.log(0.4 / 0.6), abs=0.01)
    odds = plans.visit_probability / (1 - plans.visit_probability)
    np.testing.assert_allclose(
        odds,
        (forecasts.visit_probability[plans.index] / (1 - forecasts.visit_probability[plans.index])) ** slope
        * np.exp(shift),
        rtol=1e-4,
    )
    found = closed["chance_correction"]
    assert found["slope"] * np.log(0.08 / 0.92) + found["shift"] == pytest.approx(np.log(0.1 / 0.9), abs=0.01)
    # The one hour for all is that of the corrected probabilities, the others' hours are as before.
    others = plans.index[plans.arm != "global_best_hour"]
    forecast, chance = before.chance[others], plans.chance[others]
    np.testing.assert_allclose(
        chance / (1 - chance), (forecast / (1 - forecast)) ** found["slope"] * np.exp(found["shift"]), rtol=1e-4
    )
    assert plans.send_hour[others].equals(before.send_hour[others])
    expected = report["sends"]["expected_visits"]
    assert expected["value"] == pytest.approx(plans.chance[plans.withheld.isna()].sum())
    assert expected["low"] < expected["value"] < expected["high"]
    assert "ratio 1.00 (0.96 to 1.04)" in report["expectation"][1]
    assert {m["MetricName"]: m["Value"] for m in report["metrics"]}["expected_over_realised_visits"] == 1


def test_messages_say_when():
    sends = pa.table(
        {
            "user_id": ['quo"ted \\ ü', "u"],
            "arm": ["best_hour", "random_hour"],
            "send_hour": pa.array([18, 0], pa.int8()),
            "send_at_utc": pa.array([datetime(2026, 11, 24, 17), datetime(2026, 11, 23, 18, 15)], pa.timestamp("ms")),
            "send_at_local": pa.array([datetime(2026, 11, 24, 18), datetime(2026, 11, 24)], pa.timestamp("ms")),
            "chance": pa.array([0.5, 1e-7], pa.float32()),
            "source": ["model", "prior"],
            "idempotency_key": ["0" * 32, "1" * 32],
        }
    )
    first, second = (json.loads(line) for line in job.message_lines(sends, "autumn", "2026-11-24"))
    assert first == {
        "user_id": 'quo"ted \\ ü',
        "arm": "best_hour",
        "send_hour": 18,
        "send_at_utc": "2026-11-24T17:00:00Z",
        "send_at_local": "2026-11-24T18:00:00",
        "chance": 0.5,
        "source": "model",
        "idempotency_key": "0" * 32,
        "version": 2,
        "campaign": "autumn",
        "forecast_date": "2026-11-24",
    }
    assert (second["send_at_utc"], second["send_at_local"]) == ("2026-11-23T18:15:00Z", "2026-11-24T00:00:00")
    assert second["chance"] == 0
    assert job.message_lines(sends.slice(0, 0), "autumn", "2026-11-24") == []
    assert days_since_epoch(DATE) == (datetime(2026, 11, 24, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days
