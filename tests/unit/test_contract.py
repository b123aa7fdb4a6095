import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from patience import patient

from visitcast import contract, paths
from visitcast.errors import MESSAGE_LIMIT, InputError

CONTAINERS = Path(contract.__file__).parents[1]


@pytest.fixture(autouse=True)
def opt_ml(tmp_path, monkeypatch):
    monkeypatch.setenv(paths.ROOT_VARIABLE, str(tmp_path))
    return tmp_path


def failing(error):
    def main():
        raise error

    return main


def messages():
    return {file.read_text(encoding="utf-8") for file in (paths.failure_file(), paths.message_file())}


def test_a_job_that_ends_well_leaves_no_failure():
    assert contract.run(lambda: None) == 0
    assert not paths.output().exists()


def test_bad_input_reaches_both_messages_and_its_traceback_stderr(capsys):
    assert contract.run(failing(InputError("Headline.", "Cause.", "Remedy."))) == 1
    assert messages() == {"Headline.\nCause.\nRemedy."}
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ZeroDivisionError("division by zero"), ["ZeroDivisionError", "division by zero", "full traceback"]),
        (RuntimeError(), ["RuntimeError", "no message"]),
        (MemoryError(), ["out of memory", "larger instance"]),
        (RuntimeError("x" * 5000), ["RuntimeError", "full traceback"]),
        (InputError("Headline.", "é" * 5000, "Remedy."), ["Headline.", "…\nRemedy."]),
    ],
    ids=["plain", "no text", "memory", "long", "long input error"],
)
def test_every_failure_has_one_short_message(error, words):
    assert contract.run(failing(error)) == 1
    (message,) = messages()
    assert len(message) <= MESSAGE_LIMIT
    assert all(word in message for word in words)


def test_an_exit_code_of_its_own_passes_through():
    with pytest.raises(SystemExit) as caught:
        contract.run(failing(SystemExit(3)))
    assert caught.value.code == 3


JOB_THAT_WAITS = """
import sys, time
from pathlib import Path
from visitcast.contract import run, whole_folder

def main():
    with whole_folder(Path(sys.argv[1])) as folder:
        (folder / "half").write_text("half")
        print("ready", flush=True)
        while True:
            time.sleep(60)

sys.exit(run(main))
"""


def test_sigterm_ends_the_job_and_leaves_nothing_half_written(opt_ml):
    output = opt_ml / "out" / "dataset"
    with subprocess.Popen(
        [sys.executable, "-c", JOB_THAT_WAITS, str(output)],
        env={**os.environ, "PYTHONPATH": str(CONTAINERS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == "ready\n"
        job.send_signal(signal.SIGTERM)
        _, errors = job.communicate(timeout=patient(30))
    assert job.returncode == 143
    assert "Traceback" not in errors
    assert list(output.parent.iterdir()) == []


def test_the_handler_before_is_set_again():
    before = signal.getsignal(signal.SIGTERM)
    contract.run(lambda: None)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("fraction", "line"), [(0.416, "progress=0.42 x\n"), (-1, "progress=0.00 x\n"), (7, "progress=1.00 x\n")]
)
def test_progress_lines(fraction, line, capsys):
    contract.progress(fraction, "x")
    assert capsys.readouterr().out == line


@pytest.mark.parametrize("exists", [False, True])
def test_a_whole_folder_appears_at_the_end(tmp_path, exists):
    folder = tmp_path / "deep" / "dataset"
    if exists:
        folder.mkdir(parents=True)
    with contract.whole_folder(folder) as temporary:
        (temporary / "part").mkdir()
        (temporary / "part" / "file").write_text("text")
        assert not folder.exists() or list(folder.iterdir()) == []
    assert (folder / "part" / "file").read_text() == "text"
    assert list(folder.parent.iterdir()) == [folder]


def test_a_folder_that_cannot_be_replaced_is_filled(tmp_path, monkeypatch):
    """As where SageMaker mounts a volume: rename(2) answers EBUSY or EXDEV."""
    folder = tmp_path / "dataset"
    folder.mkdir()
    rename = os.rename
    refused = []

    def rename_unless_mounted(source, target, **keywords):
        if str(target) == str(folder):
            refused.append(target)
            raise OSError(16, "Device or resource busy")
        rename(source, target, **keywords)

    monkeypatch.setattr(os, "rename", rename_unless_mounted)
    with contract.whole_folder(folder) as temporary:
        (temporary / "file").write_text("text")
    assert len(refused) == 1
    assert (folder / "file").read_text() == "text"
    assert list(tmp_path.iterdir()) == [folder]


def test_a_failed_folder_leaves_what_was_there(tmp_path):
    def fail_half_way():
        with contract.whole_folder(tmp_path / "dataset") as temporary:
            (temporary / "file").write_text("text")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert list(tmp_path.iterdir()) == []


def test_a_full_folder_is_not_overwritten(tmp_path):
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "old").write_text("old")
    with pytest.raises(InputError, match="not empty"), contract.whole_folder(tmp_path / "dataset"):
        pytest.fail("the block must not run")
    assert (tmp_path / "dataset" / "old").read_text() == "old"
