"""The example of docs/python.md, word for word, in an environment that holds the distribution and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import visitcast
from visitcast.model.baselines import GLOBAL_HISTOGRAM

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/python.md").read_text(encoding="utf-8")
EXAMPLE = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))


def run(*command: str | Path, cwd: Path) -> str:
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        command, cwd=cwd, env=environment | {"UV_SYSTEM_CERTS": "true"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Interpreter of a new environment with the distribution at the locked versions; seconds with uv's cache."""
    folder = tmp_path_factory.mktemp("empty") / "environment"
    uv = Path(sys.executable).with_name("uv")
    run(uv, "venv", "--python", sys.executable, folder, cwd=ROOT)
    interpreter = folder / "bin/python"
    install = [uv, "pip", "install", "--python", interpreter, "--constraints", "requirements/dev.txt"]
    run(*install, "./containers[training]", cwd=ROOT)
    return interpreter


def test_the_example_does_what_the_page_says(python: Path, tmp_path: Path) -> None:
    (tmp_path / "example.py").write_text(EXAMPLE, encoding="utf-8")
    printed = run(python, "example.py", cwd=tmp_path)
    log_loss = {name: float(value) for name, value in re.findall(r"^(\w+) +(\d\.\d{3}) ", printed, re.MULTILINE)}
    assert log_loss["model"] < log_loss[GLOBAL_HISTOGRAM]
    assert re.search(r"^user-07 +\d+ +0\.\d+ +0\.\d+ +model$", printed, re.MULTILINE), printed
    assert re.search(r"^somebody new +\d+ +0\.\d+ +NaN +prior$", printed, re.MULTILINE), printed
    assert (tmp_path / "model/model.json").is_file()


def test_the_page_describes_every_public_name() -> None:
    assert not [name for name in visitcast.__all__ if f"visitcast.{name}" not in PAGE]


def test_importing_the_package_loads_no_library() -> None:
    loaded = "import sys, visitcast; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    libraries = {"numpy", "pandas", "pyarrow", "sklearn", "tensorflow", "keras", "onnxruntime", "matplotlib"}
    assert not libraries & set(run(sys.executable, "-c", loaded, cwd=ROOT).split())


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert set(visitcast.__all__) <= set(dir(visitcast))
    with pytest.raises(AttributeError, match="predict"):
        _ = visitcast.predict
