"""The table of roles in docs/security.md: it merges the proofs of several stacks and covers the whole template."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import marked_part
import pytest
import roles_table
from iam_stack import RECORDED
from samcli.yamlhelper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
Permission = tuple[str, str, str]
"""Role, statement, action."""


def permissions_of_the_template() -> Iterator[Permission]:
    resources = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))["Resources"]
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::IAM::Role":
            for policy in properties.get("Policies", []):
                yield from permissions(name, policy["PolicyDocument"])
        if resource["Type"] == "AWS::IAM::Policy":
            for role in properties["Roles"]:
                yield from permissions(role["Ref"], properties["PolicyDocument"])


def permissions(role: str, document: Mapping[str, Any]) -> Iterator[Permission]:
    for found in document["Statement"]:
        statement = found["Fn::If"][1] if "Fn::If" in found else found
        actions = statement["Action"]
        for action in [actions] if isinstance(actions, str) else actions:
            yield role, statement["Sid"], action


def permissions_of_the_page() -> Iterator[Permission]:
    for line in marked_part.read(roles_table.PAGE, roles_table.PART)[2:]:
        role, statement, actions, proof = line.strip("|").split(" | ")
        assert proof.strip()
        yield from ((role.strip(), statement, action) for action in re.findall("`(.+?)`", actions))


def test_the_page_proves_every_permission_of_every_role_in_the_template() -> None:
    stale = "docs/security.md is not of this template: run `make roles`."
    assert sorted(permissions_of_the_page()) == sorted(permissions_of_the_template()), stale


def entry(action: str, *origins: str, place: int = 0) -> dict[str, Any]:
    return {
        "role": "JobRole",
        "statement": "Read",
        "action": action,
        "place": place,
        "resource": "arn",
        "origins": origins,
    }


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "security.md"
    file.write_text("before\n<!-- roles:begin -->\nold\n<!-- roles:end -->\nafter\n")
    monkeypatch.setattr(roles_table, "PAGE", file)
    return file


def proofs(folder: Path, *sessions: list[dict[str, Any]]) -> list[str]:
    files = [folder / f"{number}.json" for number in range(len(sessions))]
    for file, session in zip(files, sessions, strict=True):
        file.write_text(json.dumps(session))
    return [str(file) for file in files]


def test_what_one_stack_did_not_use_another_did(tmp_path: Path, page: Path) -> None:
    first = [entry("s3:GetObject", RECORDED), entry("s3:PutObject"), entry("logs:PutLogEvents", "AWS writes logs")]
    second = [entry("s3:GetObject"), entry("s3:PutObject", RECORDED), entry("logs:PutLogEvents")]
    assert roles_table.main(proofs(tmp_path, first, second)) == 0
    assert marked_part.read(page, roles_table.PART)[2:] == [
        "| JobRole | Read | `s3:GetObject`, `s3:PutObject` | recorded |",
        "| JobRole | Read | `logs:PutLogEvents` | on AWS only: AWS writes logs |",
    ]
    assert page.read_text().startswith("before\n")
    assert page.read_text().endswith("\nafter\n")


@pytest.mark.parametrize(
    "sessions",
    [[], [[entry("s3:GetObject")]], [[entry("s3:GetObject", RECORDED), entry("s3:GetObject", place=1)]]],
    ids=["no proofs", "an unused action", "an unused resource of a used action"],
)
def test_the_page_stays_while_a_permission_has_no_proof(tmp_path: Path, page: Path, sessions: Any) -> None:
    before = page.read_text()
    assert roles_table.main(proofs(tmp_path, *sessions)) > 0
    assert page.read_text() == before
