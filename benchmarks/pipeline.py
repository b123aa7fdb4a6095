"""The whole pipeline, run as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import psutil

ROOT = Path(__file__).resolve().parents[1]
JOB_STATES = ("Preprocess", "Cross-validate", "Train", "Evaluate")
SAMPLE_SECONDS = 0.5


class Figure(NamedTuple):
    """One measured figure; `target` describes what it should be."""

    subject: str
    name: str
    value: float
    unit: str
    target: str = ""


def run_demo(subject: str, arguments: list[str]) -> list[Figure]:
    """Run ``python -m demo`` in a region of its own and take time, memory and quality.

    Raises
    ------
    RuntimeError
        The demo failed; its output is in the message.
    """
    output = ROOT / "build" / "bench" / subject.replace(" ", "-")
    output.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "demo", "--output", str(output), *arguments]
    start = time.monotonic()
    with (output / "log.txt").open("w", encoding="utf-8") as log:
        process = psutil.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        peak = PeakMemory(process.pid)
        status = process.wait()
        peak_bytes = peak.stop()
    total = time.monotonic() - start
    if status:
        raise RuntimeError(
            f"The demo on {subject} failed; the end of {log.name}:\n{Path(log.name).read_text()[-3000:]}"
        )
    summary: dict[str, Any] = json.loads((output / "summary.json").read_text(encoding="utf-8"))
    jobs = sum(summary["seconds"]["states"].get(state, 0) for state in JOB_STATES)
    upload = summary["seconds"]["upload"]
    return [
        Figure(subject, "whole demo", total, "s", "< 300 after set-up"),
        Figure(subject, "jobs", jobs, "s"),
        Figure(subject, "upload of the events", upload, "s"),
        Figure(subject, "orchestration, deployment, polling", total - jobs - upload, "s", "< 20"),
        Figure(subject, "peak memory, all processes", peak_bytes / 1e9, "GB", "< 4"),
        Figure(subject, "events", summary["data"]["events"], ""),
        *quality(subject, summary["evaluation"]),
    ]


def quality(subject: str, evaluation: dict[str, Any]) -> list[Figure]:
    """Return log loss and MAE of the model, of each baseline and of the best forecaster possible."""
    sent = evaluation["as_sent"]
    rows = {
        "model, as sent": sent,
        **{f"{name}, as sent": scores for name, scores in sent["baselines"].items()},
        "model": evaluation["model"],
        **evaluation["baselines"],
    }
    figures = [
        Figure(subject, f"{metric} of {name}", metrics[metric], unit)
        for metric, unit in (("log_loss", "nats"), ("mae_hours", "h"))
        for name, metrics in rows.items()
        if metrics.get(metric) is not None
    ]
    if (best := evaluation["best_possible_log_loss"]) is not None:
        figures.append(Figure(subject, "best possible log loss", best, "nats"))
    return figures


def from_clone() -> list[Figure]:
    """Clone the project, run ``make demo`` in the clone, and measure the time, with the package cache as it is."""
    with tempfile.TemporaryDirectory(prefix="clone-") as folder:
        start = time.monotonic()
        subprocess.run(["git", "clone", "--quiet", str(ROOT), folder], check=True)
        # An outer make passes its own arguments on in these.
        handed_down = ("MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "EVENTS")
        environment = {name: value for name, value in os.environ.items() if name not in handed_down}
        cloned = subprocess.run(
            ["make", "demo"], cwd=folder, env=environment, check=False, capture_output=True, text=True
        )
        seconds = time.monotonic() - start
        if cloned.returncode:
            raise RuntimeError(f"make demo failed in a fresh clone:\n{cloned.stdout[-2000:]}{cloned.stderr[-2000:]}")
    return [Figure("fresh clone", "clone to finished demo", seconds, "s", "< 360 with a warm package cache")]


class PeakMemory:
    """Samples the memory of a process, of all that it starts, and of the region that it starts in the background."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """End sampling; return the largest sum of proportional set sizes, in bytes."""
        self._done.set()
        self._thread.join()
        return self._peak

    def _sample(self) -> None:
        known = {self._pid}
        while not self._done.wait(SAMPLE_SECONDS):
            total = 0
            # The region leaves the demo's session, so its processes are found by their parents, once, and remembered.
            for process in psutil.process_iter(["ppid"]):
                if process.pid in known or process.info["ppid"] in known:
                    known.add(process.pid)
                    total += _memory(process)
            self._peak = max(self._peak, total)


def _memory(process: psutil.Process) -> int:
    try:
        full = process.memory_full_info()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0
    return int(getattr(full, "pss", full.rss))
