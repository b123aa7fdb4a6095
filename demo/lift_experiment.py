"""Measure lift where the truth is known: pushes to simulated users, from the forecast workflow to the comparison.

The demo trains on a world's events up to a date. Then, date by date, the forecast workflow plans the sends, the world
answers them (`demo.push_world`), and the answers are added to the events table with the users' other visits.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import boto3
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from demo.events import read_events
from demo.forecast_run import run_forecast
from demo.lift import measure_lift, show_lift
from demo.production import ensure_production
from demo.push_world import DAY_MINUTES, Floats, Law, PushWorld, local_minutes, make_world
from demo.simulator import simulate
from demo.upload import partition_files, put_files
from visitcast.data import schema
from visitcast.data.calendar import date_of
from visitcast.data.schema import HOURS
from visitcast.sending import arms

if TYPE_CHECKING:
    from rich.console import Console

    from demo.run import Options

QUIET = (22, 7)
"""Local hours without a push."""
ALLOWED = np.array([QUIET[1] <= hour < QUIET[0] for hour in range(HOURS)])
QUICK: dict[str, Any] = {"Hyperparameters": {"epochs": 3}, "Gate": {"MustBeat": []}}
"""Input of the training. The experiment is about the sends and does not need the best model."""
_CONTROL_SHARE = 0.25


@dataclass(frozen=True)
class Experiment:
    """Settings of an experiment.

    Attributes
    ----------
    dates : int
        Forecast dates, one send to each user on each.
    hours : int
        A visit within this time after a send counts as a response.
    wanted : float
        Smallest relative lift that is worth detecting.
    law : Law
        Effect of pushes in this world.
    seed : int
        Of the answers.
    """

    dates: int = 3
    hours: int = 2
    wanted: float = 0.4
    law: Law = field(default_factory=Law)
    seed: int = 11

    def input(self, day: int) -> dict[str, Any]:
        """Return the execution input of a date: large control arms, and no rule that removes users from an arm."""
        return {
            "ForecastDate": _iso(day),
            "AsOf": f"{_iso(day)}T00:00:00Z",
            "HandOver": False,
            "Campaign": {
                "Name": "lift",
                "QuietHours": {"From": QUIET[0], "Until": QUIET[1]},
                "MinimumGapHours": 0,
                "LargestHourShare": 1,
                "Control": {"Salt": "lift", "GlobalBestHourShare": _CONTROL_SHARE, "RandomHourShare": _CONTROL_SHARE},
            },
            "Lift": {"ResponseHours": self.hours, "WantedRelativeLift": self.wanted},
        }


def run_experiment(experiment: Experiment, options: Options, console: Console) -> list[dict[str, Any]]:
    """Run it in the region that the AWS_* variables point to; print and return the lifts, each with its truth.

    Returns
    -------
    list of dict
        What `demo.lift.measure_lift` returned, and for each arm ``truth``: the relative lift of an endless experiment.
    """
    events = (read_events(options.events) if options.events else _simulated(options)).sort_by(schema.EVENT_TIME)
    local_day = local_minutes(events) // DAY_MINUTES
    # The last local date is not over everywhere.
    first = int(local_day.max()) - experiment.dates
    before = options.output / "events-before-the-pushes.parquet"
    before.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(events.filter(pa.array(local_day < first)), before)
    world = make_world(events, first, experiment.law, 60 * experiment.hours)
    outputs = ensure_production(replace(options, events=before, execution_input=QUICK), console)

    s3, rng, rates = boto3.client("s3"), np.random.default_rng(experiment.seed), []
    dates = f"{experiment.dates} date{'' if experiment.dates == 1 else 's'}"
    console.print(f"\nPushes to {len(world.user_ids):,} simulated users on {dates}")
    lifts: list[dict[str, Any]] = []
    for day in range(first, first + experiment.dates):
        run = run_forecast(outputs["ForecastStateMachineArn"], experiment.input(day))["run"]
        sends, forecasts = (_read(s3, run["Uris"][name]) for name in ("Plans", "Forecasts"))
        user = _users(world, sends)
        sent = sends[schema.SEND_AT_UTC].to_numpy().astype("datetime64[m]").astype(np.int64)
        answers = world.answers(rng, user, sent, sends[schema.SEND_HOUR].to_numpy().astype(np.int64))
        own = events.filter(pa.array(local_day == day))
        put_files(s3, outputs["BucketName"], dict(partition_files(pa.concat_tables([own, answers.cast(own.schema)]))))
        rates.append(true_rates(world, day, forecasts, sends))
        console.print(f"\n{_iso(day)}: {sends.num_rows:,} pushes, {answers.num_rows:,} more visits")
        lifts = measure_lift(outputs, date_of(day), experiment.dates, experiment.hours, experiment.wanted)
        show_lift(console, lifts)
    return _with_truth(console, lifts, rates)


def true_rates(world: PushWorld, day: int, forecasts: pa.Table, sends: pa.Table) -> dict[str, float]:
    """Share of the pushes of a date that would be answered if everyone were in the same arm, by arm.

    Parameters
    ----------
    day : int
        Days since 1970-01-01.
    forecasts, sends : pyarrow.Table
        The date's partitions of ``visit_forecasts`` and ``send_plans``.
    """
    user = _users(world, forecasts)
    offset = forecasts[schema.UTC_OFFSET_MINUTES].to_numpy().astype(np.int64)
    hours = np.arange(HOURS)
    sent = day * DAY_MINUTES + 60 * hours[None, :] - offset[:, None]
    chance = world.chance(np.repeat(user[:, None], HOURS, axis=1), sent, np.broadcast_to(hours, sent.shape))
    visit_hour = np.stack(forecasts[schema.HOUR_PROBABILITIES].to_pandas().to_list())
    best = np.where(ALLOWED, visit_hour, -1).argmax(axis=1)
    in_control = sends.filter(pc.equal(sends[schema.ARM], pa.scalar(arms.GLOBAL_BEST_HOUR)))
    (one_for_all,) = set(in_control[schema.SEND_HOUR].to_pylist())
    return {
        arms.BEST_HOUR: float(_pick(chance, best).mean()),
        arms.GLOBAL_BEST_HOUR: float(chance[:, one_for_all].mean()),
        arms.RANDOM_HOUR: float(chance[:, ALLOWED].mean()),
    }


def _with_truth(console: Console, lifts: list[dict[str, Any]], rates: list[dict[str, float]]) -> list[dict[str, Any]]:
    # Every date has the same users, so the dates weigh the same.
    mean = {arm: float(np.mean([of_date[arm] for of_date in rates])) for arm in rates[0]}
    found = [{**lift, "truth": mean[arms.BEST_HOUR] / mean[lift["control"]] - 1} for lift in lifts]
    console.print("\nThe lift of an endless experiment in this world:")
    for lift in found:
        place = ""
        if lift["relative"] is not None:
            inside = lift["relative_low"] <= lift["truth"] <= lift["relative_high"]
            place = ", inside the interval" if inside else ", outside the interval, as one in twenty is"
        console.print(f"Lift over {lift['control']}: {lift['truth']:+.1%}{place}")
    return found


def _simulated(options: Options) -> pa.Table:
    return pa.concat_tables(block.events for block in simulate(options.world))


def _read(s3: Any, uri: str) -> pa.Table:
    place = urlparse(uri)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=place.netloc, Prefix=place.path.lstrip("/") + "/")
    keys = sorted(item["Key"] for page in pages for item in page.get("Contents", []))
    bodies = (s3.get_object(Bucket=place.netloc, Key=key)["Body"].read() for key in keys)
    return pa.concat_tables([pq.read_table(io.BytesIO(body)) for body in bodies])


def _users(world: PushWorld, table: pa.Table) -> NDArray[np.int64]:
    return np.asarray(world.user_ids.get_indexer(pd.Index(table[schema.USER_ID].to_pandas())), dtype=np.int64)


def _pick(table: Floats, column: NDArray[Any]) -> Floats:
    return np.take_along_axis(table, column[:, None], axis=1)[:, 0]


def _iso(day: int) -> str:
    return date_of(day).isoformat()
