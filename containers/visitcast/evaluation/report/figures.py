"""The report's figures: SVG in a data URI, so that they are sharp and the page needs no other file."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib import figure
from numpy.typing import NDArray

from visitcast.data.schema import HOURS
from visitcast.evaluation.report.examples import Example

BLUE: Final = "#1f5fa8"
ORANGE: Final = "#c65911"
GREY: Final = "#8a8f98"
STYLE: Final[dict[Any, Any]] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "legend.frameon": False,
}
HOUR_TICKS: Final = range(0, HOURS, 3)


@dataclass(frozen=True)
class Figure:
    """A picture and the text that stands for it.

    Attributes
    ----------
    source : str
        ``data:`` URI.
    alternative : str
        What it shows, for those who cannot see it.
    caption : str
        How to read it.
    """

    source: str
    alternative: str
    caption: str


def reliability(bins: Sequence[Mapping[str, Any]], caption: str) -> Figure:
    """Draw chances against frequencies."""
    with mpl.rc_context(STYLE):
        page = figure.Figure(figsize=(4.2, 3.8), layout="constrained")
        axes = page.subplots()
        rows = np.array([one["rows"] for one in bins])
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="perfect")
        axes.plot([one["forecast"] for one in bins], [one["observed"] for one in bins], color=BLUE, linewidth=1)
        axes.scatter(
            [one["forecast"] for one in bins],
            [one["observed"] for one in bins],
            s=10 + 120 * rows / max(rows.sum(), 1),
            color=BLUE,
            label="this model (area: rows)",
        )
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="forecast chance", ylabel="share that came true")
        axes.legend(loc="upper left")
    points = "; ".join(f"{one['forecast']:.0%} came true {one['observed']:.0%}" for one in bins)
    return Figure(_uri(page), f"Reliability diagram, forecast chance and what came: {points}.", caption)


def expected_and_realised(tenths: Sequence[Mapping[str, Any]], of_what: str) -> Figure:
    """Draw what came beside what was expected, for parts that each hold a tenth of what was expected."""
    expected = np.array([one["mean"] for one in tenths])
    realised = np.array([one["realised"] / one["pairs"] for one in tenths])
    with mpl.rc_context(STYLE):
        page = figure.Figure(figsize=(4.2, 3.8), layout="constrained")
        axes = page.subplots()
        ends = (
            0.8 * min(expected.min(), realised[realised > 0].min(initial=1.0)),
            1.1 * max(expected.max(), realised.max()),
        )
        axes.plot(ends, ends, color=GREY, linewidth=1, linestyle="--", label="as expected")
        axes.fill_between(ends, np.multiply(ends, 0.9), np.multiply(ends, 1.1), color="#e3e6eb", label="within 10%")
        axes.plot(expected, realised, color=BLUE, linewidth=1, marker="o", markersize=4, label="this model")
        axes.set(xlabel="expected share", ylabel="share that came", xscale="log", yscale="log", xlim=ends, ylim=ends)
        axes.legend(loc="upper left")
    points = "; ".join(f"{one['expected']:,.0f} expected, {one['realised']:,.0f} came" for one in tenths)
    return Figure(
        _uri(page),
        f"{of_what}, expected and realised: {points}.",
        f"{of_what}: users and dates in the order of the chance, in parts that each hold a tenth of what was expected.",
    )


def heat_map(mean_forecast: NDArray[np.float64], shares: NDArray[np.float64]) -> Figure:
    """Draw the mean forecast by the actual hour.

    Parameters
    ----------
    mean_forecast : float64 array [24, 24]
        Row h: mean forecast for the days whose first visit was in hour h; NaN if there was none.
    shares : float64 array [24]
        Share of the days whose first visit was in the hour.
    """
    with mpl.rc_context(STYLE):
        page = figure.Figure(figsize=(5.4, 4.4), layout="constrained")
        axes = page.subplots()
        image = axes.imshow(mean_forecast, cmap="Blues", vmin=0, origin="lower", interpolation="nearest")
        axes.plot([-0.5, HOURS - 0.5], [-0.5, HOURS - 0.5], color=ORANGE, linewidth=0.7)
        axes.set(xlabel="forecast hour", ylabel="hour of the first visit", xticks=HOUR_TICKS, yticks=HOUR_TICKS)
        page.colorbar(image, ax=axes, label="mean forecast chance")
    own = np.diag(mean_forecast)
    best = int(np.nanargmax(own))
    alternative = (
        f"Heat map of forecast against truth, hour by hour. On days whose first visit came in hour {best} the model "
        f"gave that hour {own[best]:.0%} on average, its best; weighed by days it gave the right hour "
        f"{np.nansum(own * shares):.0%}."
    )
    return Figure(
        _uri(page),
        alternative,
        "Each row takes the days whose first visit came in that hour and shows how the model had spread its chances "
        "over the hours. A dark diagonal means that the chances lay where the visit came.",
    )


def hour_profile(mean_forecast: NDArray[np.float64], shares: NDArray[np.float64]) -> Figure:
    """Draw how often each hour was forecast and how often it happened, both [24]."""
    with mpl.rc_context(STYLE):
        page = figure.Figure(figsize=(5.4, 2.6), layout="constrained")
        axes = page.subplots()
        axes.bar(range(HOURS), shares, color="#b9d0ea", label="first visits that came")
        axes.plot(range(HOURS), mean_forecast, color=ORANGE, marker="o", markersize=3, label="mean forecast")
        axes.set(xlabel="hour", ylabel="share of days", xticks=HOUR_TICKS)
        axes.legend()
    worst = int(np.abs(mean_forecast - shares).argmax())
    return Figure(
        _uri(page),
        f"First visits by hour, forecast and truth. They differ most in hour {worst}: forecast "
        f"{mean_forecast[worst]:.1%}, came {shares[worst]:.1%}.",
        "All test days together: the line should follow the bars.",
    )


def learning_curve(epochs: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw losses by epoch."""
    number = [epoch["epoch"] for epoch in epochs]
    validation = [epoch["validation_log_loss"] for epoch in epochs]
    with mpl.rc_context(STYLE):
        page = figure.Figure(figsize=(5.4, 3.0), layout="constrained")
        left, right = page.subplots(1, 2)
        left.plot(number, [epoch["train_loss"] for epoch in epochs], color=BLUE, marker="o", markersize=3)
        left.set(title="training loss (both heads)", xlabel="epoch")
        right.plot(number, validation, color=ORANGE, marker="o", markersize=3)
        right.set(title="validation log loss", xlabel="epoch")
        for axes in (left, right):
            axes.xaxis.get_major_locator().set_params(integer=True)
    best = int(np.argmin(validation))
    return Figure(
        _uri(page),
        f"Learning curves over {len(epochs)} epochs. The validation log loss was lowest in epoch {number[best]}: "
        f"{validation[best]:.4f}.",
        "Training reads the training part again in every epoch and keeps the weights that did best on the validation "
        "part, before calibration and mixing.",
    )


def example(one: Example) -> Figure:
    """Draw a user's last visit days beside the forecast of the next one; both share the hours."""
    with mpl.rc_context(STYLE):
        page = figure.Figure(figsize=(5.4, 2.7), layout="constrained")
        past, ahead = page.subplots(1, 2, sharey=True, width_ratios=[3, 2])
        day, hour = np.nonzero(one.history)
        past.scatter(day - len(one.history), hour, marker="s", s=12, color=BLUE)
        past.set(xlabel="visit days before", ylabel="hour", xlim=(-len(one.history) - 1, 0), ylim=(-0.7, HOURS - 0.3))
        past.set_yticks(HOUR_TICKS)
        ahead.barh(range(HOURS), one.first_visit_hour, color="#b9d0ea", label="first visit")
        ahead.plot(one.visit_hour, range(HOURS), color=BLUE, linewidth=1, label="any visit")
        came = np.flatnonzero(one.visited)
        ahead.scatter(np.zeros(len(came)), came, marker="s", s=22, color=ORANGE, label="came", clip_on=False, zorder=3)
        ahead.axhline(one.best_hour, color=GREY, linewidth=0.8, linestyle="--", label="best hour")
        ahead.set(xlabel="forecast chance", xlim=(0, None))
        page.legend(*ahead.get_legend_handles_labels(), loc="outside upper center", ncols=4)
    hours = ", ".join(f"{hour} h" for hour in came)
    outcome = "a hit" if one.visited[one.best_hour] else "a miss"
    text = (
        f"Example {one.number}: {one.weekday}, {one.platform}, {one.earlier_days} earlier visit days. Best hour "
        f"{one.best_hour} h, chance of a visit {one.visit_hour[one.best_hour]:.0%}. "
        f"The user came at {hours}: {outcome}."
    )
    return Figure(_uri(page), text, text)


def _uri(page: figure.Figure) -> str:
    buffer = io.BytesIO()
    # Ids from a fixed salt and no date: the same evaluation draws the same bytes.
    with mpl.rc_context({"svg.hashsalt": "visitcast"}):
        page.savefig(buffer, format="svg", bbox_inches="tight", pad_inches=0.15, metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
