"""The local region brings no resource type of its own that the template has no use for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[2]
SOURCES = (ROOT / "localaws/localaws/cloudformation/resource_types").glob("*.py")
PACKAGED = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::StateMachine": "DefinitionUri"}


class NoManagedPolicies:
    """The transform has a list of managed policies of its own; it need not ask IAM."""

    def load(self) -> dict[str, str]:
        return {}


@pytest.fixture
def types_of_the_template(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Types of the template's resources, with those that its AWS::Serverless resources stand for."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")  # the transform asks boto3 for it
    template = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    for resource in template["Resources"].values():
        if name := PACKAGED.get(resource["Type"]):
            resource["Properties"][name] = "s3://bucket/key"  # as `sam package` writes it
    defaults = {name: str(entry["Default"]) for name, entry in template["Parameters"].items()}
    return {resource["Type"] for resource in transform(template, defaults, NoManagedPolicies())["Resources"].values()}


def test_every_resource_type_of_the_region_is_in_the_template(types_of_the_template: set[str]) -> None:
    own = {name for source in SOURCES for name in re.findall(r'"(AWS::\w+::\w+)",', source.read_text(encoding="utf-8"))}
    assert len(own) > 10
    assert sorted(own - types_of_the_template) == []
