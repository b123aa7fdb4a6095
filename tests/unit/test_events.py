"""The events for `sam local invoke`."""

from __future__ import annotations

import json
from pathlib import Path

from samcli.yamlhelper import yaml_parse

ROOT = Path(__file__).parents[2]


def test_every_function_has_an_event_named_as_its_package() -> None:
    resources = yaml_parse((ROOT / "template.yaml").read_text())["Resources"].values()
    handlers = {r["Properties"]["Handler"] for r in resources if r["Type"] == "AWS::Serverless::Function"}
    events = {file.stem: json.loads(file.read_text()) for file in (ROOT / "events").iterdir()}
    assert {handler.partition(".")[0] for handler in handlers} == set(events)
    assert all(isinstance(event, dict) for event in events.values())
