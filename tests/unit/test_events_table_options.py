"""The parameters of a table of one's own: where its objects are, and the words of its mapping."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from functions.publish_sql.events_table import location
from functions.publish_sql.mapping import read_mapping
from visitcast.events import command

BERLIN = "--time-zone Europe/Berlin"


@pytest.mark.parametrize(
    ("storage", "expected"),
    [
        ({"StorageDescriptor": {"Location": "s3://lake/app/events"}}, ("lake", "app/events/")),
        ({"StorageDescriptor": {"Location": "s3://lake/"}}, ("lake", "")),
        (
            {
                "StorageDescriptor": {"Location": "s3://other/"},
                "Parameters": {"storage.location.template": "s3://lake/app/dt=${dt}/"},
            },
            ("lake", "app/dt=/"),
        ),
    ],
)
def test_the_place_of_a_tables_objects(storage: dict[str, Any], expected: tuple[str, str]) -> None:
    assert location({"DatabaseName": "lake", "Name": "events", **storage}) == expected


OPTIONS = [
    "",
    f"{BERLIN} --local-times --offset-unit hours --tool segment",
    '--columns user_id=a|b,event_time=c.d,page_type= --page-types "home=1,it is=2,*=4" --platforms tv=web',
    '--time-format "%d.%m.%Y %H:%M"',
]


@pytest.mark.parametrize("options", OPTIONS)
def test_the_parameter_takes_the_words_of_the_command_line(options: str, tmp_path: Path) -> None:
    ours = vars(read_mapping(options))
    assert ours.pop("partition") is None
    assert ours == vars(command.mapping_of(command.mapping_options().parse_args(shlex.split(options)), tmp_path))
