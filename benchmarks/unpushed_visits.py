"""Whether the plan expects the visits without pushes, from what came of its earlier dates, while pushes cause visits.

The plan's correction and the drift check compare the closed dates with what was expected. This runs their queries and
their code on the dates of an experiment, on the users without a push and, as before, on all users.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.athena_sql import on_duckdb
from benchmarks.pipeline import ROOT, Figure
from demo.push_world import local_minutes
from functions.prepare_forecast.plan import contradictions, plan_forecast, render_queries
from functions.shared.execution_input import load_schema, validated
from functions.shared.network import Network
from visitcast.data import schema
from visitcast.data.calendar import date_of
from visitcast.forecasting.correction import FEWEST_DATES, corrected
from visitcast.metrics import BEST_HOUR_HIT_RATE, LOG_LOSS
from visitcast.sending import drift
from visitcast.sending.realised import ClosedDates, read_closed_dates

UNPUSHED: Final = "compared on users without a push"
EVERYBODY: Final = "compared on all users, as before"
DELAY_DATES: Final = 2
"""The last date that is over everywhere on the eve of a date, at the hour of the schedule."""
QUERIES: Final = ("outcomes", "realised_visits")


@dataclass(frozen=True)
class Sent:
    """Forecasts and sends of a date: users [U], first and any visits by hour [U, 24] and the probability of coming [U].

    ``hour`` is the local hour of the send, ``withheld`` whether the push was withheld at random, [U].
    """

    day: int
    users: NDArray[Any]
    first_visit_hour: NDArray[np.floating[Any]]
    visit_hour: NDArray[np.floating[Any]]
    comes: NDArray[np.floating[Any]]
    hour: NDArray[np.int64]
    withheld: NDArray[np.bool_]

    def in_hour(self) -> NDArray[np.floating[Any]]:
        """Return the chance of a visit in the hour of the send."""
        return self.comes * self.visit_hour[np.arange(len(self.hour)), self.hour]


def measure(subject: str, dates: list[Sent], events: pa.Table, truth: pd.DataFrame) -> Iterator[Figure]:
    """Yield expected over realised visits without pushes, and the dates on which drift rings.

    Parameters
    ----------
    subject : str
        Of the figures.
    dates : list of Sent
        In the order of time, without a gap.
    events : pyarrow.Table
        Rows of the events table, those that pushes caused among them.
    truth : DataFrame
        ``user``, ``day``, ``hour`` of the first visit and ``hours``, a mask, of every visit day without pushes.
    """
    by_day = {day: rows.set_index("user") for day, rows in truth.groupby("day")}
    came = {sent.day: by_day[sent.day].reindex(sent.users) for sent in dates}
    evaluated = _evaluated(dates, came)
    sums: dict[str, list[NDArray[np.float64]]] = {UNPUSHED: [], EVERYBODY: []}
    alarms = dict.fromkeys(sums, 0)
    plans: dict[str, list[pa.Table]] = {name: [] for name in sums}
    with _connected(dates, events) as connection:
        for sent in dates:
            texts = _queries(sent.day) if sent.day - dates[0].day >= FEWEST_DATES + DELAY_DATES - 1 else {}
            hours = came[sent.day]["hours"].fillna(0).to_numpy(dtype=np.int64)
            realised = [(hours > 0).sum(), (hours >> sent.hour & 1).sum()]
            for name, of_plan in plans.items():
                closed, outcomes = _closed(connection, texts, of_plan, all_users=name == EVERYBODY)
                comes, chance = corrected_chances(sent, closed)
                of_plan.append(_plan(sent, comes, chance))
                if texts:
                    verdict = drift.judge({}, {}, outcomes, evaluated, closed, drift.Limits())
                    alarms[name] += verdict.alarm
                    sums[name].append(np.array([comes.sum(), chance.sum(), *realised], dtype=np.float64))
    for name, of_dates in sums.items():
        expected, realised_sums = np.split(np.sum(of_dates, axis=0), 2)
        wanted = "0.9 to 1.1" if name == UNPUSHED else ""
        for what, ratio in zip(("who come", "in the hour of the send"), expected / realised_sums, strict=True):
            yield Figure(
                f"{subject}, {name}", f"visits without pushes, {what}: expected / realised", float(ratio), "", wanted
            )
        share = alarms[name] / len(of_dates)
        yield Figure(f"{subject}, {name}", "dates on which drift rings", share, "", "0" if name == UNPUSHED else "")


def corrected_chances(sent: Sent, closed: ClosedDates) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what the plan says: the probability of coming and the chance in the hour of the send."""
    comes = corrected(sent.comes, closed.correction)
    if closed.chance_correction is None:
        return comes, comes / sent.comes * sent.in_hour()
    return comes, corrected(sent.in_hour(), closed.chance_correction)


def _evaluated(dates: list[Sent], came: dict[int, pd.DataFrame]) -> dict[str, float]:
    """Return log loss and hit rate of all forecasts by the visits without pushes: what an evaluation measures."""
    losses, hits = [], []
    for sent in dates:
        hour = came[sent.day]["hour"].to_numpy()
        rows = np.flatnonzero(~np.isnan(hour))
        losses.append(-np.log(np.maximum(sent.first_visit_hour[rows, hour[rows].astype(int)], 1e-12)))
        mask = came[sent.day]["hours"].to_numpy()[rows].astype(np.int64)
        hits.append(mask >> sent.visit_hour[rows].argmax(axis=1) & 1)
    return {LOG_LOSS: float(np.concatenate(losses).mean()), BEST_HOUR_HIT_RATE: float(np.concatenate(hits).mean())}


def _connected(dates: list[Sent], events: pa.Table) -> duckdb.DuckDBPyConnection:
    """Open a connection with the tables that do not depend on the plan."""
    local = local_minutes(events)
    # By the local date instead of that of UTC: the queries read a day more on both sides.
    dt = pa.array((local // (24 * 60)).astype("datetime64[D]").astype(str))
    forecasts, sends = (pa.concat_tables(table(sent) for sent in dates) for table in (_forecasts, _sends))
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA app")
    for name, table in {"events": events.append_column("dt", dt), "visit_forecasts": forecasts, "sent": sends}.items():
        connection.register("given", table)
        connection.execute(f"CREATE TABLE app.{name} AS SELECT * FROM given")
    return connection


def _closed(
    connection: duckdb.DuckDBPyConnection, texts: dict[str, str], plans: list[pa.Table], *, all_users: bool
) -> tuple[ClosedDates, dict[str, float] | None]:
    """Return what the queries of a date find."""
    if not texts:
        return ClosedDates(), None
    connection.register("plans", pa.concat_tables(plans))
    connection.execute("CREATE OR REPLACE VIEW app.send_plans AS SELECT * FROM plans")
    which = "WHERE false" if all_users else ""
    connection.execute(f"CREATE OR REPLACE VIEW app.sends AS SELECT * FROM app.sent {which}")
    rows = connection.sql(texts["realised_visits"]).to_df().astype(str).to_dict("records")
    (outcomes,) = connection.sql(texts["outcomes"]).to_df().to_dict("records")
    return read_closed_dates(rows), {str(name): float(value) for name, value in outcomes.items()}


def _queries(day: int) -> dict[str, str]:
    """Return the queries of the forecast of a date, as the workflow renders them."""
    given = {"ForecastDate": date_of(day).isoformat(), "AsOf": f"{date_of(day - 1)}T16:00:00Z"}
    run = plan_forecast(
        validated(given, load_schema("forecast"), contradictions),
        execution_id="arn:aws:states:eu-central-1:123456789012:execution:a:b",
        started_at=given["AsOf"],
        bucket="bucket",
        network=Network(),
    )
    rendered = render_queries(run, "app", ROOT / "sql")
    return {query["Name"]: on_duckdb(query["Sql"]) for query in rendered if query["Name"] in QUERIES}


def _dated(sent: Sent, columns: dict[str, Any]) -> pa.Table:
    names = pa.array(sent.users.astype(object), pa.string())
    return pa.table({"dt": pa.array([date_of(sent.day).isoformat()] * len(names)), schema.USER_ID: names, **columns})


def _forecasts(sent: Sent) -> pa.Table:
    lists = {"first_visit_hour": sent.first_visit_hour, "visit_hour": sent.visit_hour}
    return _dated(
        sent,
        {
            **{name: pa.array(values.astype(np.float32).tolist()) for name, values in lists.items()},
            schema.BEST_HOUR: sent.visit_hour.argmax(axis=1).astype(np.int8),
            schema.VISIT_PROBABILITY: sent.comes,
            schema.SOURCE: ["model"] * len(sent.users),
        },
    )


def _sends(sent: Sent) -> pa.Table:
    withheld = pa.array(["no_push" if held else None for held in sent.withheld.tolist()], pa.string())
    return _dated(sent, {schema.WITHHELD: withheld})


def _plan(sent: Sent, comes: NDArray[np.float64], chance: NDArray[np.float64]) -> pa.Table:
    columns = {schema.SEND_HOUR: sent.hour.astype(np.int8), schema.CHANCE: chance, schema.VISIT_PROBABILITY: comes}
    return _dated(sent, columns)
