"""What the report's pictures show, and the text that stands for each. The templates draw them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visitcast.data.schema import HOURS
from visitcast.evaluation.groups import WEEKDAYS
from visitcast.evaluation.report.examples import HISTORY_DAYS, Example
from visitcast.evaluation.wording import FORECASTERS, GROUPINGS, METRICS, ORDERS, figure, signed
from visitcast.model.baselines import TUNED_HISTOGRAM

Row = dict[str, Any]
_DECIMALS = 4
"""Of shares that are drawn; more cannot be seen."""
_DARKEST = 0.985
"""Quantile of the shares; one user with a fixed hour would make all other cells pale."""
_LONGEST_NAME = 24
"""Characters beside a line of a picture."""


@dataclass(frozen=True)
class Picture:
    """Values to draw and the text that stands for the picture.

    Attributes
    ----------
    values : list
        What the template's macro takes.
    alternative : str
        What the picture shows, for those who cannot see it.
    """

    values: list[Any]
    alternative: str


def hit_rates(sent: Mapping[str, Any]) -> Picture:
    """Compare how often each forecaster's best hour meets the user, the model first."""
    own = sent["intervals"]["best_hour_hit_rate"]
    rows = [_bar("model", sent["best_hour_hit_rate"], own)]
    rows += [_bar(name, scores["best_hour_hit_rate"], None) for name, scores in sent["baselines"].items()]
    rows.sort(key=lambda row: -row["value"])
    return Picture(rows, "Hit rates: " + "; ".join(f"{row['name']} {row['text']}" for row in rows) + ".")


def _bar(name: str, value: float, span: Mapping[str, float] | None) -> Row:
    low, high = (None, None) if span is None else (span["low"], span["high"])
    text = figure(value, "share")
    return {
        "name": FORECASTERS[name][0],
        "value": value,
        "text": text,
        "low": low,
        "high": high,
        "own": name == "model",
    }


def differences(found: Mapping[str, Mapping[str, Any]], metric: str) -> Picture | None:
    """Compare the model with others in one metric; None if there is no interval."""
    rows = [_difference(FORECASTERS[name][0], one.get(metric), metric) for name, one in found.items()]
    return _forest([row for row in rows if "mean" in row])


def by_group(groups: Mapping[str, Sequence[Mapping[str, Any]]]) -> Picture | None:
    """Compare the model with the tuned histogram in each group, in log loss."""
    rows: list[Row] = []
    for key, (title, _) in GROUPINGS.items():
        found = [_difference(group["name"], group["log_loss_difference"], "log_loss") for group in groups[key]]
        found = [row for row in found if "mean" in row]
        rows += [{"name": title}, *found] if found else []
    return _forest(rows)


def _difference(name: str, value: Mapping[str, float] | None, metric: str) -> Row:
    if value is None:
        return {"name": name}
    unit, higher = METRICS[metric].unit, METRICS[metric].higher_is_better
    sure = value["low"] > 0 or value["high"] < 0
    verdict = "unclear" if not sure else "better" if (value["mean"] > 0) == higher else "worse"
    low, high = signed(value["low"], unit), signed(value["high"], unit)
    text = f"{name}: {signed(value['mean'], unit)} ({low} to {high}), {verdict}"
    shown = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
    return {"name": shown, "verdict": verdict, "text": text, **{key: value[key] for key in ("mean", "low", "high")}}


def _forest(rows: list[Row]) -> Picture | None:
    texts = [str(row.get("text", row["name"])) for row in rows]
    return Picture(rows, "Differences with 95% intervals. " + "; ".join(texts) + ".") if rows else None


def reliability(bins: Sequence[Mapping[str, Any]]) -> Picture:
    """Set chances against the shares that came true; the area of a point is its share of the rows."""
    rows = sum(one["rows"] for one in bins) or 1
    points = [
        _point(
            one["forecast"],
            one["observed"],
            one["rows"] / rows,
            f"{one['forecast']:.1%} stated, {one['observed']:.1%} came",
        )
        for one in bins
    ]
    return _against(points)


def expected_and_realised(tenths: Sequence[Mapping[str, Any]]) -> Picture:
    """Set what was expected against what came, in parts that each hold a tenth of what was expected."""
    points = []
    for one in tenths:
        came = one["realised"] / max(one["pairs"], 1.0)
        text = f"{one['expected']:,.0f} expected, {one['realised']:,.0f} came"
        span = one["ratio"]
        ends = (
            (None, None)
            if span is None or span["low"] <= 0
            else (one["mean"] / span["high"], one["mean"] / span["low"])
        )
        points.append(_point(one["mean"], came, 0.1, text, *ends))
    return _against(points)


def _point(x: float, y: float, area: float, text: str, low: float | None = None, high: float | None = None) -> Row:
    return {"x": x, "y": y, "area": area, "text": text, "low": low, "high": high}


def _against(points: list[Row]) -> Picture:
    return Picture(points, "Stated against what came: " + "; ".join(point["text"] for point in points) + ".")


def recency(parts: Sequence[Mapping[str, Any]]) -> Picture:
    """Compare how many were expected and came, by days since the last visit day."""
    groups = [
        {
            "name": one["name"].replace(" or more", "+"),
            "values": [one["expected"], one["realised"]],
            "text": f"{one['name']} days: {one['expected']:,.0f} expected, {one['realised']:,.0f} came",
        }
        for one in parts
    ]
    return Picture(groups, "Users who come by days since their last visit day. " + _texts(groups))


def capacity(parts: Sequence[Mapping[str, Any]]) -> Picture:
    """Compare visits in the hour of the send by whom a scarce push goes to first."""
    groups = []
    for one in parts:
        values = [one["realised"][key] for key in ORDERS]
        met = ", ".join(f"{title.lower()} {value:,.0f}" for title, value in zip(ORDERS.values(), values, strict=True))
        groups.append(
            {"name": f"{one['share']:.0%} of the users", "values": values, "text": f"{one['share']:.0%}: {met}"}
        )
    return Picture(groups, "Visits in the hour of the send where only some users get one. " + _texts(groups))


def folds(found: Mapping[str, Any]) -> Picture:
    """Compare the log loss of each fold with the tuned histogram's, as far as it was scored."""
    groups = []
    for one in found["folds"]:
        values, text = [one["model"]["log_loss"]], f"Fold {one['fold']}: this model {one['model']['log_loss']:.4f}"
        other = one["baselines"].get(TUNED_HISTOGRAM, {}).get("log_loss")
        if other is not None:
            values, text = [*values, other], f"{text}, tuned histogram {other:.4f}"
        groups.append({"name": f"Fold {one['fold']}", "values": values, "text": text})
    return Picture(groups, "Log loss of each fold. " + _texts(groups))


def hour_profile(forecast: NDArray[np.float64], came: NDArray[np.float64]) -> Picture:
    """Compare how often each hour was forecast and how often it happened, both [24]."""
    worst = int(np.abs(forecast - came).argmax())
    groups = [
        {
            "name": f"{hour:02}" if hour % 3 == 0 else "",
            "values": [float(forecast[hour]), float(came[hour])],
            "text": f"{hour:02}:00: forecast {forecast[hour]:.1%}, came {came[hour]:.1%}",
        }
        for hour in range(HOURS)
    ]
    text = f"They differ most at {worst:02}:00: forecast {forecast[worst]:.1%}, came {came[worst]:.1%}."
    return Picture(groups, f"First visits by hour, forecast and truth. {text}")


def hour_by_hour(mean_forecast: NDArray[np.float64], shares: NDArray[np.float64]) -> Picture:
    """Show the mean forecast by the actual hour.

    Parameters
    ----------
    mean_forecast : float64 array [24, 24]
        Row h: mean forecast for the days whose first visit was in hour h; NaN if there was none.
    shares : float64 array [24]
        Share of the days whose first visit was in the hour.
    """
    own = np.diag(mean_forecast)
    best = int(np.nanargmax(own))
    text = (
        f"Heat map of forecast against truth, hour by hour. On days whose first visit came at {best:02}:00 the model "
        f"gave that hour {own[best]:.0%} on average, its best; weighed by days it gave the right hour "
        f"{np.nansum(own * shares):.0%}."
    )
    return Picture(_rows(mean_forecast), text)


def week(shares: NDArray[np.float64], what: str) -> Picture:
    """Show the share of each hour on each weekday [7, 24]; NaN for a weekday without rows."""
    best = [
        f"{WEEKDAYS[day]} {int(row.argmax()):02}:00 with {row.max():.0%}"
        for day, row in enumerate(shares)
        if row[0] == row[0]
    ]
    return Picture(_rows(shares), f"{what} by weekday and hour. Most often: {', '.join(best)}.")


def darkest(heat_maps: Iterable[Picture]) -> float:
    """Return the share that is darkest in heat maps that share their colours; a few cells above it are as dark."""
    shares = [value for picture in heat_maps for row in picture.values for value in row if value is not None]
    return float(np.quantile(shares, _DARKEST))


def _rows(shares: NDArray[np.float64]) -> list[Any]:
    return [[None if value != value else round(value, _DECIMALS) for value in row] for row in shares.tolist()]


def learning_curves(epochs: Sequence[Mapping[str, Any]]) -> dict[str, Picture]:
    """Show the losses by epoch, by what they are; the best epoch on the validation part is marked."""
    names = {"Validation log loss": "validation_log_loss", "Training loss, all heads": "train_loss"}
    best = best_epoch(epochs)
    curves = {}
    for name, key in names.items():
        points = {int(epoch["epoch"]): float(epoch[key]) for epoch in epochs}
        first, last = points[epochs[0]["epoch"]], points[epochs[-1]["epoch"]]
        text = f"{name} over {len(points)} epochs, from {first:.3f} to {last:.3f}"
        kept = f"in epoch {best}, the best one on the validation part, {points[best]:.4f}"
        curves[name] = Picture(list(points.items()), f"{text}; {kept}.")
    return curves


def best_epoch(epochs: Sequence[Mapping[str, Any]]) -> int:
    """Return the epoch with the lowest log loss on the validation part."""
    return int(min(epochs, key=lambda epoch: epoch["validation_log_loss"])["epoch"])


def example(one: Example) -> Picture:
    """Show a user's last visit days above the forecast of the next one; both share the hours."""
    hours = ", ".join(f"{hour:02}:00" for hour in np.flatnonzero(one.visited))
    text = (
        f"Example {one.number}: {one.weekday}, {one.platform}, {one.earlier_days:,} earlier visit days. Best hour "
        f"{one.best_hour:02}:00, chance of a visit {one.visit_hour[one.best_hour]:.0%}. The user came at {hours}: "
        f"{'a hit' if one.visited[one.best_hour] else 'a miss'}."
    )
    day, hour = np.nonzero(one.history)
    visits = [(int(d) + (HISTORY_DAYS - len(one.history)), int(h)) for d, h in zip(day, hour, strict=True)]
    return Picture(
        [
            visits,
            [round(float(v), _DECIMALS) for v in one.visit_hour],
            np.flatnonzero(one.visited).tolist(),
            one.best_hour,
        ],
        text,
    )


def _texts(groups: Sequence[Row]) -> str:
    return "; ".join(group["text"] for group in groups) + "."
