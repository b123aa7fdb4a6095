"""A function is written down in four places: its folder, the template, what calls it, and its sample event."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from samcli.yamlhelper import yaml_parse

ROOT = Path(__file__).parents[2]
TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))["Resources"]
FOLDERS = {app.parent.name for app in (ROOT / "functions").glob("*/app.py")}
FUNCTIONS = {name: item for name, item in TEMPLATE.items() if item["Type"] == "AWS::Serverless::Function"}
STATE_MACHINES = [item["Properties"] for item in TEMPLATE.values() if item["Type"] == "AWS::Serverless::StateMachine"]


def logical_id(folder: str) -> str:
    """Return the name of a function in the template."""
    return "".join(word.title() for word in folder.split("_")) + "Function"


def names(value: Any, function: str) -> bool:
    """Return whether a value of the template is a reference to a function, its ARN or its alias."""
    text = json.dumps(value)
    return re.search(rf'"{function}(\.Arn|\.Alias)?"|\["{function}", "(Arn|Alias)"\]', text) is not None


def callers(function: str) -> list[str]:
    """Return what calls a function: a state machine, an event source, a custom resource, a URL or a schedule."""
    found = [
        machine["DefinitionUri"]
        for machine in STATE_MACHINES
        for variable, value in machine["DefinitionSubstitutions"].items()
        if names(value, function)
        and f"${{{variable}}}" in (ROOT / machine["DefinitionUri"]).read_text(encoding="utf-8")
    ]
    for name, item in TEMPLATE.items():
        properties = item.get("Properties", {})
        called = [properties.get(key) for key in ("ServiceToken", "Targets")]
        if item["Type"] == "AWS::Lambda::EventSourceMapping":
            called.append(properties["FunctionName"])
        if names(called, function):
            found.append(name)
    return found + [key for key in ("Events", "FunctionUrlConfig") if key in FUNCTIONS[function]["Properties"]]


def test_every_handler_is_in_the_template_and_nothing_else() -> None:
    handlers = {name: item["Properties"]["Handler"] for name, item in FUNCTIONS.items()}
    assert handlers == {logical_id(folder): f"functions.{folder}.app.handler" for folder in FOLDERS}


def test_every_handler_has_a_sample_event_and_every_event_a_handler() -> None:
    files = (ROOT / "functions" / "events").iterdir()
    events = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}
    assert events.keys() == FOLDERS
    assert all(isinstance(event, dict) for event in events.values())


@pytest.mark.parametrize("folder", sorted(FOLDERS))
def test_something_calls_the_function(folder: str) -> None:
    assert callers(logical_id(folder))
