"""The summary that the demo prints: states, metrics, the gate's verdict, the endpoint and one forecast."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from visitcast.evaluation.wording import METRICS, ratio
from visitcast.metrics import LOG_LOSS
from visitcast.model.baselines import TUNED_HISTOGRAM

_BAR_WIDTH = 30


def print_report(console: Console, summary: Mapping[str, Any]) -> None:
    """Print every part that a summary has."""
    _states(console, summary)
    if summary["evaluation"]["model"]:
        _metrics(console, summary)
        _gate(console, summary["gate"])
    _endpoint(console, summary["endpoint"])
    if summary["failure"]:
        console.print(f"\n[bold red]{summary['status']}[/]")
        console.print(summary["failure"], markup=False, highlight=False)


def _states(console: Console, summary: Mapping[str, Any]) -> None:
    if not summary["states"]:
        return
    table = Table(title="States", title_justify="left", box=None, pad_edge=False)
    table.add_column("state")
    table.add_column("times", justify="right")
    table.add_column("seconds", justify="right")
    for name, seconds in summary["seconds"]["states"].items():
        times = summary["states"].count(name)
        table.add_row(escape(name), str(times) if times > 1 else "", f"{seconds:.1f}")
    table.add_row("[dim]set-up[/]", "", f"{summary['seconds']['setup']:.1f}")
    table.add_row("[dim]everything[/]", "", f"{summary['seconds']['total']:.1f}")
    console.print()
    console.print(table)


def _metrics(console: Console, summary: Mapping[str, Any]) -> None:
    data, evaluation = summary["data"], summary["evaluation"]
    rows = data["test_rows"]
    table = Table(
        title=f"Forecast of the first-visit hour on {rows:,} test rows, as sent", title_justify="left", box=None
    )
    table.add_column("")
    for metric in METRICS.values():
        table.add_column(metric.heading, justify="right")
    table.add_row("model", *_cells(evaluation["as_sent"]), style="bold")
    for name, scores in evaluation["as_sent"]["baselines"].items():
        table.add_row(name, *_cells(scores))
    table.add_row("from whole histories:", style="italic")
    table.add_row("model", *_cells(evaluation["model"]))
    table.add_row(TUNED_HISTOGRAM, *_cells(evaluation["baselines"][TUNED_HISTOGRAM]))
    best = evaluation["best_possible_log_loss"]
    if best is not None:
        table.add_row("best possible", *_cells({LOG_LOSS: best}), style="green")
    console.print()
    console.print(table)
    console.print(f"[dim]{data['events']:,} events, {data['users']:,} users, {data['visit_days']:,} visit days[/]")
    sends = evaluation["sends"]
    console.print(
        f"Visits in the hour of the send, {sends['pairs']:,.0f} sends on {sends['dates']} test dates: "
        f"{sends['expected']:,.0f} expected, {sends['realised']:,.0f} came; ratio {ratio(sends['ratio'])}",
        highlight=False,
    )


def _cells(scores: Mapping[str, float | None]) -> list[str]:
    values = (scores.get(name) for name in METRICS)
    return ["" if value is None else f"{value:.3f}" for value in values]


def _gate(console: Console, gate: Mapping[str, Any]) -> None:
    verdict = "[green]passed[/]" if gate["passed"] else "[red]rejected[/]"
    console.print(f"\nGate: {verdict}")
    for reason in gate["reasons"]:
        console.print(f"  - {reason}", markup=False, highlight=False)


def _endpoint(console: Console, endpoint: Mapping[str, Any]) -> None:
    if not endpoint["status"]:
        return
    console.print(
        f"\nEndpoint {endpoint['name']}: {endpoint['status']}, {endpoint['action']}, config {endpoint['config']}",
        markup=False,
        highlight=False,
    )
    forecast = endpoint["forecast"]
    if forecast:
        console.print(
            f"It forecasts for user {forecast['user_id']} on {forecast['date']}: "
            f"best hour {forecast['best_hour']:02d}, confidence {forecast['confidence']:.2f} ({forecast['source']})",
            markup=False,
            highlight=False,
        )
        for line in chart(forecast):
            console.print(line, markup=False, highlight=False)


def chart(forecast: Mapping[str, Any]) -> list[str]:
    """Draw a forecast, one line for each hour: the chance of the day's first visit, and the chance of any visit.

    An arrow marks the best hour to send a notification, which depends on the second chance.
    """
    lines = [f"  {'':2} {'first visit':<{_BAR_WIDTH + 7}}   any visit"]
    columns = [forecast["first_visit_hour"], forecast["visit_hour"]]
    for hour, chances in enumerate(zip(*columns, strict=True)):
        bars = [
            f"{'█' * round(_BAR_WIDTH * chance / max(column)):<{_BAR_WIDTH}} {chance:6.1%}"
            for chance, column in zip(chances, columns, strict=True)
        ]
        lines.append(f"{'→' if hour == forecast['best_hour'] else ' '} {hour:02d} {'   '.join(bars)}")
    return lines
