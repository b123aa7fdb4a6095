"""Who comes, and who visits in the hour of the send: expected against realised, on simulated users and your own events.

Known users are forecast on test dates as the schedule does. The figures are those of
:mod:`visitcast.evaluation.visits` and :mod:`visitcast.evaluation.sends`, of more users and dates than the evaluation
job takes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import quality, simulated
from benchmarks.pipeline import Figure
from demo.simulator import World
from visitcast.data.dataset import Dataset
from visitcast.data.protocol import split
from visitcast.evaluation.sends import CHANCE, PROBABILITY, PRODUCT, score_sends
from visitcast.evaluation.user_dates import ACTIVE_DAYS, UserDates, forecast_user_dates, select
from visitcast.evaluation.visits import score_visits
from visitcast.model.bundle import Bundle
from visitcast.model.gru.hyperparameters import Hyperparameters
from visitcast.model.gru.learner import GruLearner
from visitcast.training.fitting import fit

MOST_PAIRS = 500_000
LEARNT, JUDGED = World(users=2_000), World(users=10_000, seed=8)
"""A tenth of the visits of the users that the model learns from is too little to judge by."""
FEWEST_VISIT_DAYS = 5
"""Files of events are often made of users with at least so many days, as those that the documentation names. A user's
first days then give away that more days follow, which no forecast can know."""
WANTED = "0.9 to 1.1"
ORDERS = {PRODUCT: "probability x chance", CHANCE: "chance alone", PROBABILITY: "probability"}


def measure(events: Path | None, quick: bool = False) -> list[Figure]:
    """Fit on simulated users and judge by others of the same world; with a file of events, do the same by it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    learner = GruLearner(Hyperparameters(epochs=1 if quick else 0))
    learnt, judged = (simulated.QUICK, simulated.QUICK) if quick else (LEARNT, JUDGED)
    model = fit(simulated.visit_days(learnt), learner=learner)
    figures = of_dataset("simulated world", model, simulated.visit_days(judged), 0)
    if events is not None:
        dataset = quality.visit_days(events)
        figures += of_dataset(events.name, fit(dataset, learner=learner), dataset, FEWEST_VISIT_DAYS)
    return figures


def of_dataset(subject: str, model: Bundle, dataset: Dataset, fewest_days: int) -> list[Figure]:
    """Return the figures of the known users with at least so many visit days."""
    pairs = forecast_user_dates(model, dataset, split(dataset), MOST_PAIRS)
    pairs = select(pairs, pairs.visit_days >= fewest_days)
    active = select(pairs, pairs.absent_days <= ACTIVE_DAYS)
    return [
        *_of_pairs(f"{subject}, known users", pairs),
        *_of_pairs(f"{subject}, users of the last {ACTIVE_DAYS} days", active),
    ]


def _of_pairs(subject: str, pairs: UserDates) -> Iterator[Figure]:
    visits, sends = score_visits(pairs), score_sends(pairs)
    yield Figure(subject, "users", visits["users"], "")
    yield Figure(subject, "dates", visits["dates"], "")
    yield Figure(subject, "users and dates", visits["pairs"], "")
    yield Figure(subject, "share that comes", visits["realised"] / max(1, visits["pairs"]), "")
    for name, scores in {"probability": visits, **visits["baselines"]}.items():
        yield from _scores(subject, name, scores)
    for name, difference in visits["differences"].items():
        yield from _interval(subject, f"log loss - {name}'s", difference, "nats", "< 0")
    yield from _ratio(subject, "users who come, corrected", visits["corrected"])
    yield from _ratio(subject, "visits in the hour of users who came", sends["of_visitors"])
    for name, scores in {"visits in the hour": sends, "visits in the hour, corrected": sends["corrected"]}.items():
        yield from _ratio(subject, name, scores)
        for number, tenth in enumerate(scores["tenths"], start=1):
            if tenth["ratio"] is not None:
                about = f"tenth {number} (chance {tenth['mean']:.4f}, {tenth['realised']:.0f} visits)"
                yield Figure(subject, f"{name}, {about}: expected / realised", tenth["ratio"].mean, "", WANTED)
    for capacity in sends["capacity"]:
        for order, title in ORDERS.items():
            share = capacity["realised"][order] / max(1, capacity["all"])
            yield Figure(subject, f"sends to {capacity['share']:.0%} by {title}: share of all visits", share, "")
        title = f"sends to {capacity['share']:.0%}: visits by probability x chance / by chance alone"
        yield from _interval(subject, title, capacity["gain"], "")


def _scores(subject: str, name: str, scores: Mapping[str, Any]) -> Iterator[Figure]:
    for metric, unit in (("log_loss", "nats"), ("auc", "")):
        if scores[metric] is not None:
            yield Figure(subject, f"{name}: {metric}", scores[metric], unit)
    yield from _ratio(subject, f"users who come, {name}", scores)


def _ratio(subject: str, name: str, scores: Mapping[str, Any]) -> Iterator[Figure]:
    yield from _interval(subject, f"{name}: expected / realised", scores["ratio"], "", WANTED)


def _interval(subject: str, name: str, found: Any, unit: str, target: str = "") -> Iterator[Figure]:
    """Yield a figure and the ends of its interval; nothing if there was too little to say."""
    if found is not None:
        yield Figure(subject, name, found.mean, unit, target)
        yield Figure(subject, f"{name}, 2.5%", found.low, unit)
        yield Figure(subject, f"{name}, 97.5%", found.high, unit)
