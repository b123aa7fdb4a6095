"""The documents name files, commands, parameters, keys and states that exist."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from samcli.yamlhelper import yaml_parse

from visitcast.metrics import METRICS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    file for pattern in ("*.md", "docs/*.md", "localaws/*.md", ".github/*.md") for file in ROOT.glob(pattern)
)
TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
WORKFLOWS = ("train", "forecast")
# Paths in backticks are relative to one of these, or to the document.
BASES = (ROOT, ROOT / "containers/visitcast", ROOT / "localaws")
FOLDERS = {path.name for base in BASES for path in base.iterdir() if path.is_dir()} - {"build"}


def without_code(document: Path) -> str:
    return re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def in_backticks(document: Path) -> list[str]:
    return re.findall(r"`([^`\n]+)`", without_code(document))


def anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", without_code(document), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def keys(schema: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield every key of an execution input, such as ``Gate.MustBeat``."""
    for name, entry in schema.get("properties", {}).items():
        yield prefix + name
        yield from keys(entry, f"{prefix}{name}.")


def states(machine: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the name and type of every state, those of maps and branches included."""
    for name, state in machine["States"].items():
        yield name, state["Type"]
        for inner in (*state.get("Branches", []), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])):
            yield from states(inner)


def read_json(name: str) -> Any:
    return json.loads((ROOT / "statemachine" / name).read_text(encoding="utf-8"))


KEYS = {key for workflow in WORKFLOWS for key in keys(read_json(f"{workflow}.input.schema.json"))}
TRAIN, FORECAST = (dict(states(read_json(f"{workflow}.asl.json"))) for workflow in WORKFLOWS)
of_every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))


@of_every_document
def test_every_link_leads_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(document)):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@of_every_document
def test_every_path_exists(document: Path) -> None:
    paths = [text for text in in_backticks(document) if re.fullmatch(r"[\w.-]+(/[\w.-]*)+", text)]
    own = [path for path in paths if path.partition("/")[0] in FOLDERS]
    missing = [path for path in own if not any((base / path).exists() for base in (*BASES, document.parent))]
    assert missing == []


@of_every_document
def test_every_command_parameter_and_output_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    commands = [*in_backticks(document), *(line.strip() for line in text.splitlines())]
    assert {found[1] for command in commands if (found := re.match(r"make ([a-z-]+)\b", command))} <= set(targets)
    parameters = re.findall(r"`([A-Z][a-z]\w+)=[^`]*`", text)
    assert set(parameters) <= TEMPLATE["Parameters"].keys()
    outputs = re.findall(r"<([A-Z][a-z]\w+)>", text)
    assert set(outputs) - {"Name"} <= TEMPLATE["Outputs"].keys()


@of_every_document
def test_every_key_of_an_execution_input_exists(document: Path) -> None:
    sections = {key.partition(".")[0] for key in KEYS}
    named = [text for text in in_backticks(document) if re.fullmatch(r"[A-Z]\w+(\.[A-Z]\w+)+", text)]
    assert [text for text in named if text.partition(".")[0] in sections and text not in KEYS] == []


@of_every_document
def test_every_state_exists(document: Path) -> None:
    text = without_code(document)
    named = set(re.findall(r'"([A-Z][a-z]+(?: [a-z]+)+\??)"', text))
    if document.name == "workflow.md":
        table = text[: text.index("\n## ")]
        named |= {name for row in re.findall(r"^\| ([A-Z][^|]+) \|", table, re.MULTILINE) for name in row.split(", ")}
    assert named <= TRAIN.keys() | FORECAST.keys()


def test_every_step_of_the_training_and_every_end_of_a_forecast_is_described() -> None:
    training, forecasts = (
        (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("workflow.md", "forecasts.md")
    )
    assert [name for name, kind in TRAIN.items() if kind != "Fail" and name not in training] == []
    assert [name for name, kind in FORECAST.items() if kind in ("Fail", "Succeed") and name not in forecasts] == []


def test_the_columns_of_events_are_described() -> None:
    text = (ROOT / "docs/your-events.md").read_text(encoding="utf-8")
    table = text[text.index("## The table of events") :].partition("\n## ")[0]
    columns = TEMPLATE["Resources"]["EventsTable"]["Properties"]["TableInput"]["StorageDescriptor"]["Columns"]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [column["Name"] for column in columns]


def test_every_metric_is_defined() -> None:
    text = (ROOT / "docs/evaluation.md").read_text(encoding="utf-8")
    assert [name for name in METRICS if f"`{name}`" not in text] == []
