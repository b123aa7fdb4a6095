"""Names and meanings of metrics and forecasters, for readers who send push notifications."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from visitcast import metrics
from visitcast.evaluation import groups, sends
from visitcast.model import baselines
from visitcast.model.baselines import visit_rates

Unit = Literal["nats", "share", "hours", "gap"]


@dataclass(frozen=True)
class Metric:
    """Name, heading of a narrow table, one sentence, unit, and which way is better."""

    name: str
    heading: str
    meaning: str
    unit: Unit
    higher_is_better: bool = False


METRICS: Final = {
    metrics.LOG_LOSS: Metric(
        "Log loss",
        "log loss",
        "How much the hour of the first visit surprises the forecast: 3.18 for a blind guess among 24 hours, 0 for "
        "a certain and correct one. Compare models by this figure.",
        "nats",
    ),
    metrics.BEST_HOUR_HIT_RATE: Metric(
        "Best-hour hit rate",
        "hit rate",
        "Share of the days with a visit on which the user was there in the hour at which the model would have sent "
        "the notification.",
        "share",
        higher_is_better=True,
    ),
    metrics.TOP1: Metric(
        "Top hour right",
        "top 1",
        "How often the day's first visit fell exactly in the hour that the model thought likeliest.",
        "share",
        higher_is_better=True,
    ),
    metrics.WITHIN_ONE_HOUR: Metric(
        "Within one hour",
        "± 1 h",
        "How often the day's first visit was at most one hour away from the forecast hour; 23 h and 0 h are "
        "neighbours.",
        "share",
        higher_is_better=True,
    ),
    metrics.CIRCULAR_MAE_HOURS: Metric(
        "Circular error",
        "circular MAE",
        "By how many hours the forecast misses the first visit on average; 23 h and 0 h are neighbours.",
        "hours",
    ),
    metrics.MAE_HOURS: Metric(
        "Mean absolute error",
        "MAE h",
        "The same on a straight line from 0 h to 23 h, as many articles define it.",
        "hours",
    ),
    metrics.RMSE_HOURS: Metric(
        "Root mean squared error",
        "RMSE h",
        "The same, but large errors count more: an error twice as large counts four times as much.",
        "hours",
    ),
    metrics.ECE: Metric(
        "Calibration error",
        "ECE",
        "How far the stated chances are from the observed shares: at 0 an hour with a stated chance of 30% comes true "
        "30% of the time.",
        "gap",
    ),
}

FORECASTERS: Final = {
    "model": ("This model", "The candidate that the gate decides on."),
    "as_sent": (
        "This model as sent",
        "This model as the schedule forecasts, minus itself from whole histories.",
    ),
    "production": ("Production model", "The newest approved version of the model registry, on the same rows."),
    baselines.GLOBAL_HISTOGRAM: (
        "Global histogram",
        "The same forecast for every user: the hours at which all users visit.",
    ),
    baselines.LAST_HOUR: ("Last hour", "The hour of the user's previous first visit; gives no chances."),
    baselines.USER_HISTOGRAM: ("User histogram", "The user's own past hours, mixed with those of all users."),
    baselines.TUNED_HISTOGRAM: (
        "Tuned histogram",
        "The same, with recent days and days of the same kind counted more: hard to beat.",
    ),
    baselines.ARTICLE_GRU: (
        "Article's model",
        "A neural network that reads only the last visit and predicts one hour.",
    ),
}

VISIT_RATES: Final = {
    visit_rates.GLOBAL_RATE: "Rate of all users",
    visit_rates.WEEKDAY_RATE: "Rate of all users on the weekday",
    visit_rates.USER_RATE: "User's own rate, recent days counted more",
}

ORDERS: Final = {
    sends.PRODUCT: "Chance of a visit in the hour, as planned",
    sends.CHANCE: "The same, given that the user comes",
    sends.PROBABILITY: "Probability that the user comes",
}

GROUPINGS: Final = {
    groups.HISTORY_LENGTH: ("Length of history", "earlier visit days of the same user"),
    groups.PLATFORM: ("Platform", "on the day that is forecast"),
    groups.WEEKDAY: ("Weekday", "of the day that is forecast, on the user's calendar"),
    groups.USERS: ("New and known users", "known users have days in the training part"),
}


def figure(value: float | None, unit: Unit) -> str:
    """Write a metric's value.

    >>> figure(0.4217, "share"), figure(2.61234, "nats"), figure(None, "hours")
    ('42.2%', '2.6123', '–')
    """
    if value is None:
        return "–"
    return f"{value:.1%}" if unit == "share" else f"{value:.2f}" if unit == "hours" else f"{value:.4f}"


def signed(value: float | None, unit: Unit) -> str:
    """Write a difference with its sign; differences of shares are points.

    >>> signed(-0.0123, "share"), signed(0.5, "hours"), signed(-1e-9, "nats")
    ('−1.23 points', '+0.500', '0.0000')
    """
    if value is None:
        return "–"
    text = f"{100 * value:+.2f}" if unit == "share" else f"{value:+.3f}" if unit == "hours" else f"{value:+.4f}"
    text = text[1:] if float(text) == 0 else text.replace("-", "−")
    return f"{text} points" if unit == "share" else text


def plainly(reason: str) -> str:
    """Write a reason of the gate with the names that people read.

    >>> plainly("log_loss 2.8 against global_histogram's 3.1: better.")
    "Log loss 2.8 against global histogram's 3.1: better."
    """
    names = {key: metric.name for key, metric in METRICS.items()} | {
        key: name for key, (name, _) in FORECASTERS.items()
    }
    for key, name in sorted(names.items(), key=lambda item: -len(item[0])):
        if "_" in key:
            reason = reason.replace(key, name[0].lower() + name[1:])
    return (reason[:1].upper() + reason[1:]).replace(" -", " \N{MINUS SIGN}")


def ratio(value: Mapping[str, float] | None) -> str:
    """Write expected over realised with its interval.

    >>> ratio({"mean": 1.0241, "low": 0.97, "high": 1.08}), ratio(None)
    ('1.02 (0.97 to 1.08)', 'too few')
    """
    return "too few" if value is None else "{mean:.2f} ({low:.2f} to {high:.2f})".format_map(value)


def spread(value: float | None, unit: Unit) -> str:
    """Write a standard deviation; an empty text for None.

    >>> spread(0.0123, "share"), spread(0.5, "hours"), spread(None, "nats")
    ('± 1.23 points', '± 0.500', '')
    """
    return "" if value is None else "± " + signed(value, unit).lstrip("+")
