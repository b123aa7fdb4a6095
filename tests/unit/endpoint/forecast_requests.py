"""Requests to the serving image, made from simulated visits, and what makes an answer to them right."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from made_visits import made_frame
from served_model import user_request

from visitcast.data import schema

VISITS = made_frame(users=60, mean_days=40, seed=5)
VISIT_COLUMNS = tuple(column.name for column in schema.DAY_COLUMNS)
LONGEST = VISITS[schema.USER_ID].value_counts().index[0]


def all_users() -> list[dict[str, Any]]:
    """Every user of `VISITS`, as a request has them."""
    return [user_request(history, str(user)) for user, history in VISITS.groupby(schema.USER_ID)]


def longest(**changes: Any) -> dict[str, Any]:
    """The user with the longest history, with other values for the user or the first visit."""
    user = user_request(VISITS[VISITS[schema.USER_ID] == LONGEST], "a")
    user["visits"][0] |= {name: value for name, value in changes.items() if name in VISIT_COLUMNS}
    return user | {name: value for name, value in changes.items() if name not in VISIT_COLUMNS}


def changed(**changes: Any) -> bytes:
    """A request for `longest` alone."""
    return json.dumps({"users": [longest(**changes)]}).encode()


def as_lines(users: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(user) + "\n" for user in users).encode()


def assert_forecast(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for name in ("first_visit_hour", "visit_hour", "visit_probability"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5)
    assert found["best_hour"] == int(np.argmax(found["visit_hour"]))
    assert found["confidence"] == max(found["visit_hour"])
    assert sum(found["first_visit_hour"]) == pytest.approx(1, abs=2e-5)
