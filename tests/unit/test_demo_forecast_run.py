"""What `make forecast` asks for and prints; the integration tests run it against a stack."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from moto import mock_aws
from rich.console import Console

from demo.forecast_run import day_after, main, save_plan, show_plan
from demo.lift import show_lift
from visitcast.data import schema

SEND = {
    "user_id": "user-1",
    "send_at_utc": "2026-11-24T17:00:00Z",
    "send_at_local": "2026-11-24T22:45:00",
    "chance": 0.25,
    "arm": "best_hour",
    "source": "model",
}
ARM = {"arm": "best_hour", "users": 1200, "sends": 3400, "pushes": 3399, "visited_date": 0.25, "visited_24_hours": 0.3}
ARM |= {"hit": 0.125, "opened": 0.0, "opted_out": 0.0}


def output(**changes: Any) -> dict[str, Any]:
    sends = {
        "planned": 1200,
        "withheld": {"no_push": 130, "opted_out": 2},
        "by_arm": {"best_hour": 1100, "no_push": 132, "random_hour": 100},
        "by_utc_hour": {"2026-11-24T16:00Z": 3, "2026-11-24T17:00Z": 77},
        "barred": 4,
        "no_room": 5,
        "moved": 6,
        "loss": 0.0123,
    }
    report = {
        "users": 1209,
        "sources": {"model": 1200, "prior": 9},
        "sends": sends | changes.pop("sends", {}),
        "examples": [
            SEND,
            SEND | {"user_id": "never-came", "chance": None},
            SEND | {"user_id": "rare", "chance": 0.004},
        ],
        "notes": ["Full hours: 6 of 1,100 users"],
        "expectation": ["Visits expected in the hour of the push: 300"],
        "drift": {"alarm": False, "reasons": []},
    }
    run = {"ForecastDate": "2026-11-24", "Campaign": "autumn", "RunId": "run-2"}
    planned = {"run_id": changes.pop("run_id", "run-2"), "report": report | changes}
    return {"run": run, "planned": planned, "lift": {"Arms": [], "Words": []}}


def printed(show: Any, *arguments: Any) -> str:
    text = io.StringIO()
    show(Console(file=text, width=120), *arguments)
    return text.getvalue()


def test_the_plan_shows_sends_and_totals() -> None:
    text = printed(show_plan, output())
    assert "Send plan of 2026-11-24 (the users' local date), campaign autumn" in text
    assert "a plan that was to be handed over" not in text
    assert "user-1" in text
    assert "25%" in text
    assert re.search(r"never-came .* - ", text)
    assert re.search(r"rare .* <1% ", text)
    assert "Visits expected in the hour of the push: 300" in text
    assert "22:45" in text  # the user's own clock
    assert "1,209 users forecast: 1,200 by model, 9 by prior" in text
    arms = "1,100 best_hour, 132 no_push, 100 random_hour"
    assert f"1,200 sends planned (130 no_push, 2 opted_out withheld): {arms}" in text
    assert "Busiest hour 2026-11-24T17:00Z with 77" in text
    assert "moved for capacity 6: 1.2% fewer visits expected than at own best hours" in text.replace("\n", " ")
    assert "Full hours: 6 of 1,100 users" in text
    assert "4 barred by the rules, 5 because their hours are full" in text
    assert "none beyond the limits" in text


@pytest.mark.parametrize("user", ["user[beta]", "a[/b]", "[bold]x", "<b>", "line\nbreak"])
def test_ids_and_sentences_are_shown_as_they_are(user: str) -> None:
    text = printed(show_plan, output(examples=[SEND | {"user_id": user}], notes=[f"It is {user}."]))
    assert f"It is {user}." in text
    assert user.partition("\n")[0] in text.partition("Busiest")[0]


def test_escapes_of_an_id_do_not_reach_the_terminal() -> None:
    text = printed(show_plan, output(examples=[SEND | {"user_id": "\x1b[31mred\x1b]0;title\x07"}]))
    assert "\x1b" not in text
    assert r"\x1b[31mred" in text


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ('{"Campaign": {"FallbackHour": 24}}', "Campaign.FallbackHour: 24 is greater than the maximum of 23"),
        ('{"Campain": {}}', "input: there is no key 'Campain', did you mean 'Campaign'?"),
        ('{"ForecastDate": "24.11."}', "ForecastDate: '24.11.' is not a date such as 2026-11-24"),
        ('{"Campaign": {"SendWindow": {"From": 22, "Until": 7}}}', "leave no hour for a push"),
    ],
)
def test_an_input_that_the_workflow_would_refuse_is_refused_before_anything_starts(
    given: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--input", given, "--home", str(tmp_path / "home"), "--output", str(tmp_path / "out")])
    _, _, told = capsys.readouterr().err.partition("INPUT cannot be used:\n")
    assert said in told
    assert list(tmp_path.iterdir()) == []


def test_a_plan_without_sends_is_shown_too() -> None:
    text = printed(
        show_plan, output(examples=[], sends={"planned": 0, "withheld": {}, "by_arm": {}, "by_utc_hour": {}})
    )
    assert "0 sends planned (none withheld)" in text


def test_a_plan_that_stands_is_told() -> None:
    assert "It is that of run run-1" in printed(show_plan, output(run_id="run-1"))


def test_drift_is_told_with_its_reasons() -> None:
    text = printed(show_plan, output(drift={"alarm": True, "reasons": ["input: platform has shifted"]}))
    assert "Drift: input: platform has shifted" in text


def test_lift_is_a_table_of_the_arms_and_what_it_says_in_words() -> None:
    assert "no sends yet" in printed(show_lift, {"Arms": [], "Words": []})
    text = printed(
        show_lift,
        {"Arms": [ARM], "Lifts": [{}], "Thirds": [], "Words": ["spring: Visits on the date: sample too small."]},
    )
    assert re.search(r"best_hour +1,200 +3,400 +3,399 +25\.0% +30\.0% +12\.5%", text)
    assert "opened" not in text  # no sender reports opens here
    assert "spring: Visits on the date: sample too small." in text


@pytest.mark.parametrize(
    ("last", "as_of"),
    [("2024-02-28T23:59:59Z", "2024-02-29T00:00:00Z"), ("2024-02-28T10:00:00.25Z", "2024-02-28T10:00:01Z")],
)
def test_of_a_file_the_day_after_its_last_event_is_forecast(last: str, as_of: str, tmp_path: Path) -> None:
    rows = 3
    events = pa.table(
        {
            schema.USER_ID: ["a"] * rows,
            schema.EVENT_TIME: ["2024-02-27T10:00:00Z", last, "2024-01-01T00:00:00Z"],
            schema.UTC_OFFSET_MINUTES: pa.array([0] * rows, pa.int16()),
            schema.PAGE_TYPE: pa.array([1] * rows, pa.int8()),
            schema.PLATFORM: ["ios"] * rows,
        }
    )
    pq.write_table(events, tmp_path / "events.parquet")
    assert day_after(tmp_path / "events.parquet") == {"ForecastDate": "2024-02-29", "AsOf": as_of}


@mock_aws
def test_the_whole_plan_that_stands_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "x"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="a-bucket")
    for number, ids in enumerate((["a", 'b "c", d'], ["NA"])):
        other = {name: [1] * len(ids) for name in ("arm", "propensity", "possible_hours", "salt")}
        content = io.BytesIO()
        pq.write_table(pa.table({"user_id": ids, **other}), content)
        key = f"runs/earlier/plans/part-{number:05d}.parquet"
        s3.put_object(Bucket="a-bucket", Key=key, Body=content.getvalue())
    run = {"RunId": "later", "Uris": {"Plans": "s3://a-bucket/runs/later/plans"}}
    file = save_plan({"run": run, "planned": {"run_id": "earlier"}}, tmp_path / "new/send_plan.csv")
    found = pyarrow.csv.read_csv(file, convert_options=pyarrow.csv.ConvertOptions(null_values=[]))
    assert found.column_names == ["user_id", "arm"]
    assert found["user_id"].to_pylist() == ["a", 'b "c", d', "NA"]
