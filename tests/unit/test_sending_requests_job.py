"""The job before the batch transform."""

import json

import pytest
from made_visits import AS_OF, from_frame, made_frame
from sending_folder import run_requests, sending_folder, visit_days

from visitcast.__main__ import main
from visitcast.errors import InputError
from visitcast.sending.requests import Asked, request_lines


@pytest.fixture
def opt_ml(tmp_path, monkeypatch):
    return sending_folder(tmp_path, monkeypatch)


def test_every_user_gets_a_line(opt_ml):
    audience = [
        {"user_id": "new-1", "platform": "ios", "utc_offset_minutes": -300, "time_zone": "America/New_York"},
        {"user_id": "new-2", "platform": "", "utc_offset_minutes": "", "time_zone": ""},
        {"user_id": "user-0003", "platform": "", "utc_offset_minutes": "", "time_zone": "Europe/Berlin"},
    ]
    frame, lines, users = run_requests(opt_ml, audience=audience)
    days = frame.groupby("user_id").size()
    asked = [json.loads(line) for line in lines]
    assert [line["user_id"] for line in asked] == users.index.to_list()
    assert {line["user_id"]: visit_days(line) for line in asked} == {**days, "new-1": 0, "new-2": 0}
    assert users.history_days.to_dict() == {**days, "new-1": 0, "new-2": 0}
    assert users.loc["user-0003", "time_zone"] == "Europe/Berlin"
    assert users.loc["new-2", ["platform", "utc_offset_minutes"]].tolist() == ["other", 0]


def test_a_line_is_the_endpoints_request(opt_ml):
    frame, lines, _ = run_requests(opt_ml)
    assert lines
    for line in map(json.loads, lines):
        assert (line["date"], line["as_of"]) == ("2026-11-24", "2026-11-23T12:00:00Z")
        assert line["visits"] == frame[frame.user_id == line["user_id"]].drop(columns="user_id").to_dict("list")


def test_visits_end_when_the_data_end(opt_ml, monkeypatch):
    monkeypatch.setenv("VISITCAST_AS_OF", "2026-11-24T01:00:00+02:00")
    _, lines, _ = run_requests(opt_ml, audience=[{"user_id": "new"}])
    assert {json.loads(line)["as_of"] for line in lines} == {"2026-11-23T23:00:00Z"}


def test_any_identifier_of_a_user_stays_what_it_is(opt_ml):
    names = ['"\\', "Zoë", "🙂", "a,b", "a\u2028", "{}"]
    _, lines, _ = run_requests(opt_ml, users=3, audience=[{"user_id": name} for name in names])
    frame = made_frame(3).assign(
        user_id=lambda visits: visits.user_id.map(dict(zip(visits.user_id.unique(), names, strict=False)))
    )
    assert {json.loads(line)["user_id"] for line in lines} >= set(names)
    asked = [json.loads(line) for line in request_lines(from_frame(frame), Asked(20_781, AS_OF))]
    assert {line["user_id"] for line in asked} == set(frame.user_id)


def test_request_files_hold_so_many_users(opt_ml, monkeypatch):
    monkeypatch.setenv("VISITCAST_USERS_PER_FILE", "7")
    _, lines, users = run_requests(opt_ml)
    files = sorted((opt_ml / "output/requests").iterdir())
    assert len(lines) == len(users) > 7
    assert [len(file.read_text().splitlines()) for file in files[:-1]] == [7] * (len(files) - 1)


@pytest.mark.parametrize("text", ["", "0", "-3", "many"])
def test_a_file_of_no_users_is_refused(opt_ml, monkeypatch, text):
    monkeypatch.setenv("VISITCAST_USERS_PER_FILE", text)
    with pytest.raises(InputError, match="not a positive number"):
        run_requests(opt_ml)


def test_a_visit_on_the_day_to_forecast_is_refused(opt_ml, monkeypatch):
    monkeypatch.setenv("VISITCAST_FORECAST_DATE", "2026-11-10")
    with pytest.raises(InputError, match="not before the date"):
        run_requests(opt_ml)
    assert not list((opt_ml / "output" / "requests").glob("*"))


def test_an_unknown_job_is_named():
    with pytest.raises(InputError, match="unknown command"):
        main(["publish"])
