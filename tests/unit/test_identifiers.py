"""The longest user id is the same in the events, in requests and in messages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from visitcast.data.schema import MAX_USER_ID_LENGTH

SCHEMAS = sorted((Path(__file__).parents[2] / "functions" / "shared").glob("*.schema.json"))


@pytest.mark.parametrize("file", [file for file in SCHEMAS if '"user_id": {' in file.read_text()], ids=lambda f: f.name)
def test_messages_take_the_longest_user_id(file: Path) -> None:
    assert json.loads(file.read_text())["properties"]["user_id"]["maxLength"] == MAX_USER_ID_LENGTH
