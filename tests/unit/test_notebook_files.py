"""Notebooks have no outputs and name what exists; docs/article.md leads from each step to its counterpart."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from test_documents import anchors

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
ARTICLE = (ROOT / "docs/article.md").read_text(encoding="utf-8")
ROWS = [row.strip("| ").split(" | ") for row in re.findall(r"^\| .*\]\(\.\./.*\|$", ARTICLE, re.MULTILINE)]
STEPS = [row for row in ROWS if not row[0].startswith("[")]
# What docs/article.md must lead from: names of the article's code.
OF_THE_ARTICLE = (
    *("ExecutionInput", "PreprocessingJobName", "TrainingJobName", "EvaluationProcessingJobName", "ModelName"),
    *("EndpointName", "InputFilePath", "ds-StartQueryExecution", "ds-GetQueryExecution", "ds-CopyS3Content"),
    *("SKLearnProcessor", "preprocessing_step.py", "training_step.py", "full_workflow_graph", "train_workflow_graph"),
    *("Retry", "Catch", "Workflow", "create()", "update()", "update=", "execute()", "render_graph()"),
    *("render_progress()", "CloudWatch Events", "cross-validation", "RMSE or MAE", "part 2"),
)
of_every_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda file: file.stem)


def cells(notebook: Path, kind: str) -> list[dict[str, Any]]:
    content = json.loads(notebook.read_text(encoding="utf-8"))
    return [cell for cell in content["cells"] if cell["cell_type"] == kind]


@of_every_notebook
def test_outputs_are_not_committed(notebook: Path) -> None:
    assert [cell for cell in cells(notebook, "code") if cell["outputs"] or cell["execution_count"] is not None] == []


@of_every_notebook
def test_every_link_of_a_notebook_leads_somewhere(notebook: Path) -> None:
    text = "\n".join("".join(cell["source"]) for cell in cells(notebook, "markdown"))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = link.partition("#")
        assert "://" in link or (notebook.parent / path).exists(), link
        assert "://" in link or not anchor or anchor in anchors(notebook.parent / path), link


@of_every_notebook
def test_cells_are_short_and_the_notebook_says_what_next(notebook: Path) -> None:
    assert [cell["id"] for cell in cells(notebook, "code") if len(cell["source"]) > 45] == []
    assert "## What next" in "".join(cells(notebook, "markdown")[-1]["source"])
    assert notebook.name in ARTICLE


@pytest.mark.parametrize("row", STEPS, ids=lambda row: row[0][:40])
def test_every_counterpart_is_in_its_file(row: list[str]) -> None:
    _, names, where = row
    link = re.search(r"\]\(\.\./([^)]+)\)", where)
    assert link is not None
    text = (ROOT / link[1]).read_text(encoding="utf-8")
    found = re.findall(r"`([^`]+)`", names)
    assert found
    assert [name for name in found if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)] == []


@pytest.mark.parametrize("name", OF_THE_ARTICLE)
def test_every_step_of_the_article_has_its_row(name: str) -> None:
    assert any(name in row[0] for row in STEPS)
