"""What an execution input may hold, and how its mistakes are told."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.prepare_forecast.plan import contradictions
from functions.shared.execution_input import load_schema, mistakes, pattern_meaning
from visitcast.sending.send_window import SendRules, allowed_hours


@given(*[st.integers(0, 24)] * 4, st.booleans())
def test_hours_are_left_where_the_plan_finds_some(start, end, quiet_from, quiet_until, quiet):
    campaign = {
        "SendWindow": {"From": start, "Until": end},
        "QuietHours": {"From": quiet_from, "Until": quiet_until} if quiet else None,
    }
    rules = SendRules(window=(start, end), quiet=(quiet_from, quiet_until) if quiet else None)
    found = mistakes({"Campaign": campaign}, load_schema("forecast"), contradictions)
    if all("leave no hour" in mistake for mistake in found):  # otherwise the schema refuses an hour
        assert bool(found) != allowed_hours(rules).any()


@pytest.mark.parametrize("workflow", ["train", "forecast"])
def test_every_pattern_of_an_input_is_said_in_words(workflow):
    patterns = re.findall(r'"pattern": "(.*?)"', json.dumps(load_schema(workflow)))
    assert patterns
    assert all(pattern_meaning(json.loads(f'"{pattern}"')) for pattern in patterns)
