"""The plan for other rules: the run's own plan where nothing is changed."""

import json
import os

import pytest
from campaigns import CAMPAIGN
from sending_folder import run_plan, run_requests, sending_folder, write_campaign

from visitcast.errors import InputError
from visitcast.sending.plan_inputs import read_plan_inputs
from visitcast.sending.what_if import what_if


@pytest.fixture
def opt_ml(tmp_path, monkeypatch):
    return sending_folder(tmp_path, monkeypatch)


@pytest.mark.parametrize("share", [1.0, 0.1])
def test_with_the_rules_of_the_run_it_is_the_plan_of_the_run(opt_ml, share):
    write_campaign(opt_ml, LargestHourShare=share)
    _, lines, _ = run_requests(opt_ml)
    report, *_ = run_plan(opt_ml, lines)
    inputs = read_plan_inputs(opt_ml / "input", os.environ)
    found = what_if(inputs, {**CAMPAIGN, "LargestHourShare": share})
    assert json.loads(json.dumps(found)) == report["sends"]


def test_it_keeps_the_other_rules(opt_ml):
    _, lines, _ = run_requests(opt_ml)
    report, *_ = run_plan(opt_ml, lines)
    inputs = read_plan_inputs(opt_ml / "input", os.environ)
    narrow = what_if(inputs, {**CAMPAIGN, "SendWindow": {"From": 10, "Until": 11}})
    # One hour has no room for all: see DEVIATIONS in plan.py.
    assert report["users"] == sum(narrow["by_arm"].values()) + narrow["barred"] + narrow["no_room"]
    assert narrow["planned"] > 0
    assert narrow["expected_visits"]["value"] < report["sends"]["expected_visits"]["value"]
    assert sum(narrow["by_utc_hour"].values()) == narrow["planned"]
    nowhere = what_if(inputs, {**CAMPAIGN, "SendWindow": {"From": 23, "Until": 24}})
    assert nowhere["planned"] == 0
    assert nowhere["barred"] == report["users"]


def test_a_campaign_without_a_rule_is_refused(opt_ml):
    _, lines, _ = run_requests(opt_ml)
    run_plan(opt_ml, lines)
    inputs = read_plan_inputs(opt_ml / "input", os.environ)
    with pytest.raises(InputError, match="is not a campaign"):
        what_if(inputs, {name: value for name, value in CAMPAIGN.items() if name != "SendWindow"})
