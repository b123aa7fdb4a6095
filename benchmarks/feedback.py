"""Whether the model learns its own pushes: rounds of pushes and new fits, in a world that answers the pushes.

On each date every known user but those of the arm without pushes gets one, most of them at their best hour, and the
world answers. Each round the model is fitted again. It is judged by the visits that the users would have made without
any push: by how much its log loss is above that of a model which sees only these. The same dates show whether the
plan's expectations stay those of visits without pushes (:mod:`benchmarks.unpushed_visits`).
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks import unpushed_visits
from benchmarks.athena_sql import on_duckdb
from benchmarks.pipeline import ROOT, Figure
from benchmarks.unpushed_visits import Sent
from demo.push_world import DAY_MINUTES, Law, PushWorld, local_minutes, make_world
from demo.simulator import World, simulate
from functions.prepare_forecast.plan import HISTORY_VISIT_DAYS
from functions.publish_sql.app import composed
from visitcast.data import schema
from visitcast.data.dataset import Dataset, with_target_days
from visitcast.data.protocol import split
from visitcast.data.visits import read_visits
from visitcast.features.histograms import histograms_before, last_histograms
from visitcast.forecasting.forecaster import forecast_last
from visitcast.model import visit_probability
from visitcast.model.baselines import tuned_histogram
from visitcast.model.gru.hyperparameters import Hyperparameters
from visitcast.model.gru.learner import GruLearner
from visitcast.sending import arms
from visitcast.sending.policy import mean_by_user
from visitcast.sending.send_window import SendRules, allowed_hours
from visitcast.training.fitting import fit

TRUTH: Final = "visits without pushes"
ALL: Final = "all visits, as before"
OWN: Final = "without the visits that pushes caused"
ROUNDS: Final = 10
DAYS_BEFORE: Final = 90
GAP_DAYS: Final = 2
"""The last visits that a forecast knows are those of the day before the eve; the shipped schedule knows more."""
FLOOR, HEIGHT = 0.04, 0.6
"""A push is answered with the probability ``FLOOR + HEIGHT * habit``, the user's habit in its hour: most often where it
is hard to tell from a habit."""
ALLOWED: Final = allowed_hours(SendRules())
GROUP: Final = arms.ControlGroup(salt="feedback")
METRICS: Final = ("first-visit hour", "coming")
LAST_ROUNDS: Final = {"histogram": 5, "network": 1}
"""Last rounds in which each model is judged."""
END: Final = date(2026, 11, 1)

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Season:
    """A world, its events without pushes and the dates of the rounds."""

    events: pa.Table
    local_day: NDArray[np.int64]
    push_world: PushWorld
    truth: pd.DataFrame
    starts: int
    days_a_round: int


class Forecasts(NamedTuple):
    """Forecasts of a date: users [U], first and any visits by hour [U, 24] and the probability of coming [U]."""

    users: NDArray[Any]
    first_visit_hour: Floats
    visit_hour: Floats
    comes: Floats


class Rounds(NamedTuple):
    """Rounds with one kind of visits.

    Attributes
    ----------
    losses : mapping
        Log losses of the last rounds by model; a row for each user and date, a column for each metric.
    answers : list of pyarrow.Table
        Visits that pushes caused.
    sent : list of Sent
        Of each date.
    """

    losses: dict[str, pd.DataFrame]
    answers: list[pa.Table]
    sent: list[Sent]


def measure(quick: bool = False) -> list[Figure]:
    """Run the rounds on all visits and without those that pushes caused; in the last one also the network."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    season = make_season(150 if quick else 1_500, days_a_round=1 if quick else 3)
    network = GruLearner(Hyperparameters(epochs=1 if quick else 6))
    found = {kind: run_rounds(season, kind, network) for kind in (TRUTH, ALL, OWN)}
    losses = {kind: rounds.losses for kind, rounds in found.items()}
    return [
        *(figure for kind in (TRUTH, OWN) for figure in _expected(kind, season, found[kind])),
        *(
            figure
            for kind in (ALL, OWN)
            for model, rounds in LAST_ROUNDS.items()
            for metric in METRICS
            for figure in _added(f"{model}, {kind}", metric, rounds, losses[kind][model], losses[TRUTH][model])
        ),
    ]


def _expected(kind: str, season: Season, rounds: Rounds) -> Iterator[Figure]:
    """Yield what the plan expected with a model that is fitted to one kind of visits."""
    events = pa.concat_tables([season.events, *(table.cast(season.events.schema) for table in rounds.answers)])
    yield from unpushed_visits.measure(f"model of {kind}", rounds.sent, events, season.truth)


def _added(subject: str, metric: str, rounds: int, found: pd.DataFrame, truth: pd.DataFrame) -> Iterator[Figure]:
    """Yield the log loss that is added in the last rounds, on users and dates that both know, with its interval."""
    both = pd.concat({"found": found[metric], "truth": truth[metric]}, axis=1, join="inner").dropna()
    added = (both["found"] - both["truth"]).to_numpy()
    users = both.index.get_level_values("user").factorize()[0]
    estimate = mean_by_user(added, users)
    name = f"{metric}: log loss added, last {rounds} of {ROUNDS} rounds"
    yield Figure(subject, name, estimate.value, "nats", "< 0.01" if OWN in subject else "")
    yield Figure(subject, f"{name}, 2.5%", estimate.low, "nats")
    yield Figure(subject, f"{name}, 97.5%", estimate.high, "nats")


def make_season(users: int, days_a_round: int) -> Season:
    """Simulate the users and make a world that answers pushes."""
    days = DAYS_BEFORE + ROUNDS * days_a_round + 1
    blocks = simulate(World(users=users, days=days, end=END))
    events = pa.concat_tables(block.events for block in blocks).sort_by(schema.EVENT_TIME)
    local_day = local_minutes(events) // DAY_MINUTES
    # The last local date is not over everywhere.
    starts = int(local_day.max()) - ROUNDS * days_a_round
    with connected() as connection:
        truth = visits(connection, events, None, TRUTH)
    frame = pd.DataFrame(
        {
            "user": np.repeat(truth.user_ids, np.diff(truth.offsets)),
            "day": truth.visit_date,
            "hour": truth.first_visit_hour,
            "hours": truth.hourly_visits,
        }
    )
    return Season(events, local_day, make_world(events, starts, Law()), frame, starts, days_a_round)


def connected() -> duckdb.DuckDBPyConnection:
    """Open a connection with the functions that the SQL needs."""
    connection = duckdb.connect()
    connection.create_function("crc32", lambda data: zlib.crc32(data), ["BLOB"], "BIGINT")
    return connection


def run_rounds(season: Season, kind: str, network: GruLearner) -> Rounds:
    """Run the rounds with a model that is fitted to one kind of visits."""
    rng = np.random.default_rng(3)
    answers: list[pa.Table] = []
    sends: list[pa.Table] = []
    sent: list[Sent] = []
    losses: dict[str, list[pd.DataFrame]] = {name: [] for name in LAST_ROUNDS}
    with connected() as connection:
        for number in range(ROUNDS):
            first = season.starts + number * season.days_a_round
            for day in range(first, first + season.days_a_round):
                known_answers = [] if kind == TRUTH else answers
                dataset = visits(connection, known_events(season, known_answers, day), sends, kind)
                if day == first:
                    model = fit_histogram(dataset)
                    judged = {name for name, rounds in LAST_ROUNDS.items() if number >= ROUNDS - rounds}
                    bundle = fit(dataset, learner=network) if "network" in judged else None
                forecasts = by_histogram(model, dataset, day)
                if "histogram" in judged:
                    losses["histogram"].append(judge(season, forecasts, day))
                if bundle is not None:
                    known = with_target_days(dataset, np.full(dataset.users, day, dtype=np.int32))
                    offset = dataset.utc_offset_minutes[dataset.offsets[1:] - 1].astype(np.int64)
                    # The end of the last known date, on each user's clock.
                    made = forecast_last(bundle, known, (day - GAP_DAYS + 1) * DAY_MINUTES - offset)
                    found = Forecasts(dataset.user_ids, made.first_visit_hour, made.visit_hour, made.visit_probability)
                    losses["network"].append(judge(season, found, day))
                sent.append(push(rng, season, forecasts, day, sends, answers))
    return Rounds({name: pd.concat(of_dates) for name, of_dates in losses.items()}, answers, sent)


def known_events(season: Season, answers: list[pa.Table], day: int) -> pa.Table:
    """Return the events that a forecast of a date may know."""
    until = day - GAP_DAYS
    tables = [season.events.filter(pa.array(season.local_day <= until))]
    late = (table.filter(pa.array(local_minutes(table) // DAY_MINUTES <= until)) for table in answers)
    return pa.concat_tables([*tables, *(table.cast(season.events.schema) for table in late)])


def visits(connection: duckdb.DuckDBPyConnection, events: pa.Table, sends: list[pa.Table] | None, kind: str) -> Dataset:
    """Turn events into visit days with the application's own SQL."""
    connection.register("given_events", events)
    connection.execute("CREATE OR REPLACE TABLE events AS SELECT * FROM given_events")
    if kind == OWN and sends:
        connection.register("given_sends", pa.concat_tables(sends))
        connection.execute("CREATE OR REPLACE TABLE sends AS SELECT * FROM given_sends")
        return read_visits(connection.sql(_queries()["own_visits.sql"]).to_df())
    return read_visits(connection.sql(_queries()["visits.sql"]).to_df())


def fit_histogram(dataset: Dataset) -> tuple[tuned_histogram.Parameters, visit_probability.Parameters]:
    """Fit the tuned histogram and the probability of coming."""
    parts = split(dataset)
    histogram = tuned_histogram.fit(dataset, parts, histograms_before(dataset, parts.validation))
    return histogram, visit_probability.fit(dataset, parts, HISTORY_VISIT_DAYS)[0]


def by_histogram(
    model: tuple[tuned_histogram.Parameters, visit_probability.Parameters], dataset: Dataset, day: int
) -> Forecasts:
    """Forecast a date."""
    known = with_target_days(dataset, np.full(dataset.users, day, dtype=np.int32))
    rows, counts = known.offsets[1:] - 1, last_histograms(known)
    first = tuned_histogram.predict(model[0], known.visit_date[rows], counts)
    until = np.full(len(rows), day - GAP_DAYS)
    comes = visit_probability.predict(model[1], known, rows, until, np.zeros(len(rows)))
    visited = np.maximum(tuned_histogram.visit_hours(model[0], counts), first)
    return Forecasts(dataset.user_ids, first, visited, comes)


def judge(season: Season, forecasts: Forecasts, day: int) -> pd.DataFrame:
    """Return each user's log losses of a date in the world without pushes; that of the hour is NaN if nobody came."""
    truth = season.truth[season.truth["day"] == day]
    rows = pd.Index(forecasts.users).get_indexer(pd.Index(truth["user"]))
    known = rows >= 0
    hours = truth["hour"].to_numpy()[known].astype(np.int64)
    first = np.full(len(forecasts.users), np.nan)
    first[rows[known]] = -np.log(np.maximum(forecasts.first_visit_hour[rows[known], hours], 1e-9))
    came = np.isin(forecasts.users, truth["user"])
    chance = np.clip(forecasts.comes, 1e-6, 1 - 1e-6)
    index = pd.MultiIndex.from_product([[day], forecasts.users], names=["day", "user"])
    coming = -np.log(np.where(came, chance, 1 - chance))
    return pd.DataFrame(dict(zip(METRICS, (first, coming), strict=True)), index=index)


def push(
    rng: np.random.Generator,
    season: Season,
    forecasts: Forecasts,
    day: int,
    sends: list[pa.Table],
    answers: list[pa.Table],
) -> Sent:
    """Send the pushes of a date, and add the sends and the answers to the lists."""
    ids, dt = forecasts.users.astype(object), str(np.datetime64(day, "D"))
    arm = arms.arm_codes(ids, GROUP)
    possible = np.broadcast_to(ALLOWED, forecasts.visit_hour.shape)
    best = np.where(possible, forecasts.visit_hour, -1).argmax(axis=1)
    one_for_all = np.where(ALLOWED, forecasts.comes @ forecasts.visit_hour, -1).argmax()
    hour = np.where(arm == arms.ARMS.index(arms.GLOBAL_BEST_HOUR), one_for_all, best)
    hour = np.where(arm == arms.ARMS.index(arms.RANDOM_HOUR), arms.random_hours(ids, GROUP, dt, possible), hour)
    user = season.push_world.user_ids.get_indexer(pd.Index(ids))
    minute = day * DAY_MINUTES + 60 * hour - season.push_world.offset[user]
    withheld = arm == arms.ARMS.index(arms.NO_PUSH)
    pushed = np.flatnonzero(~withheld)
    habit = season.push_world.habit[user[pushed], hour[pushed]]
    answered = pushed[rng.random(len(pushed)) < FLOOR + HEIGHT * habit]
    answers.append(season.push_world.visits_after(rng, user[answered], minute[answered]))
    sent = Sent(day, ids, forecasts.first_visit_hour, forecasts.visit_hour, forecasts.comes, hour, withheld)
    sends.append(
        pa.table(
            {
                schema.USER_ID: pa.array(ids, pa.string()),
                "dt": pa.array([dt] * len(ids), pa.string()),
                schema.SEND_AT_UTC: pa.array(minute.astype("datetime64[m]").astype("datetime64[ms]")),
                schema.CHANCE: pa.array(sent.in_hour()),
                schema.VISIT_PROBABILITY: pa.array(forecasts.comes),
                schema.WITHHELD: pa.array([arms.NO_PUSH if held else None for held in withheld.tolist()], pa.string()),
                schema.IDEMPOTENCY_KEY: [blake2b(f"{dt}/{name}".encode(), digest_size=16).hexdigest() for name in ids],
            }
        )
    )
    return sent


@cache
def _queries() -> dict[str, str]:
    texts = composed({file.name: file.read_text(encoding="utf-8") for file in (ROOT / "sql").glob("*.sql")})
    return {name: on_duckdb(texts[name]) for name in ("visits.sql", "own_visits.sql")}
