"""Live progress on a terminal, and plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from demo.history import StateRun
from demo.joblog import Progress

_PLAIN_SECONDS = 10.0
"""Without a terminal a job's progress is printed at most this often."""

_DONE = "[green]✓[/]"


class Screen:
    """Shows steps, then the states of an execution: a line for each that has ended, a bar for each that is running."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[text]}", style="dim"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._running: dict[int, TaskID] = {}
        self._shown = 0
        self._said_at: dict[int, float] = {}
        self._named: set[str] = set()

    def __enter__(self) -> Screen:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    @contextmanager
    def step(self, title: str) -> Iterator[Callable[[float], None]]:
        """Show one step of the set-up while the block runs; yields a function that takes the completed share."""
        began = time.monotonic()
        task = self._bars.add_task(title, total=None, text="")
        try:
            yield lambda fraction: self._bars.update(task, total=1.0, completed=fraction)
            self._line(time.monotonic() - began, title)
        finally:
            self._bars.remove_task(task)

    def states(self, runs: list[StateRun], progress: Callable[[StateRun], Progress | None]) -> None:
        """Bring the screen up to date with the execution; `demo.execution.execute` calls it."""
        for number, run in enumerate(runs):
            if run.left_at is None:
                self._show_running(number, run, progress(run))
            elif number in self._running or number >= self._shown:
                self._show_left(number, run)
        self._shown = max(self._shown, len(runs))

    def forget(self) -> None:
        """Forget the states shown so far: what follows is another execution."""
        self._running, self._shown, self._said_at, self._named = {}, 0, {}, set()

    def _show_running(self, number: int, run: StateRun, at: Progress | None) -> None:
        if number not in self._running:
            self._running[number] = self._bars.add_task(run.name, total=None, text="")
            if run.job and not self.console.is_terminal:
                self.console.print(f"         … {run.name}", highlight=False)
        text = at.text if at else ""
        if run.attempts > 1:
            text = f"attempt {run.attempts} {text}"
        if at:
            self._bars.update(self._running[number], total=1.0, completed=at.fraction, text=escape(text))
            self._say(number, f"         … {run.name} {at.fraction:4.0%} {text}")
        elif text:
            self._bars.update(self._running[number], text=escape(text))

    def _show_left(self, number: int, run: StateRun) -> None:
        task = self._running.pop(number, None)
        if task is not None:
            self._bars.remove_task(task)
        if run.name not in self._named or run.failed:  # a loop would print its states again and again
            mark = "[red]✗[/]" if run.failed else "[yellow]↪[/]" if run.caught else _DONE
            self._line(run.seconds, f"{run.name} (error caught)" if run.caught else run.name, mark)
        self._named.add(run.name)

    def _say(self, number: int, text: str) -> None:
        now = time.monotonic()
        if not self.console.is_terminal and now - self._said_at.setdefault(number, now) >= _PLAIN_SECONDS:
            self._said_at[number] = now
            self.console.print(text, highlight=False, markup=False)

    def _line(self, seconds: float, text: str, mark: str = _DONE) -> None:
        self.console.print(f"{seconds:7.1f} s {mark} {escape(text)}", highlight=False)
