"""Results of boto3 calls as JSON of Step Functions."""

from __future__ import annotations

import datetime as dt
import io
import json

from localaws.stepfunctions.json_values import epoch_milliseconds, iso_times

MOMENT = dt.datetime(2026, 11, 23, 10, 0, 0, 123456, tzinfo=dt.timezone(dt.timedelta(hours=2)))


def test_times_become_text_in_utc_or_milliseconds_wherever_they_are() -> None:
    value = {"a": [MOMENT, {"b": MOMENT}], "c": 1}
    assert iso_times(value) == {"a": ["2026-11-23T08:00:00.123Z", {"b": "2026-11-23T08:00:00.123Z"}], "c": 1}
    assert epoch_milliseconds(value)["a"][0] == 1795420800123


def test_the_result_is_always_json() -> None:
    value = {"stream": io.BytesIO(b"text"), "bytes": b"raw", "tuple": (1, 2), "none": None}
    assert json.loads(json.dumps(iso_times(value))) == {"stream": "text", "bytes": "raw", "tuple": [1, 2], "none": None}
