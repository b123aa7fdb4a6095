"""The revision that the demo deploys with: what git says, in the form that the template takes."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from samcli.yamlhelper import yaml_parse

from demo import stack

ROOT = Path(__file__).parents[2]
PATTERN = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))["Parameters"]["Revision"]["AllowedPattern"]


def git(*arguments: str) -> None:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


def test_the_revision_tells_a_commit_and_whether_files_differ_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert stack.git_revision() == ""
    git("init", "--quiet")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "--quiet", "--message", "first")
    clean = stack.git_revision()
    assert re.fullmatch(r"[0-9a-f]{40}", clean)
    (tmp_path / "file").write_text("two")
    assert stack.git_revision() == f"{clean}+changes"
    assert all(re.fullmatch(PATTERN, revision) for revision in ("", clean, f"{clean}+changes"))
