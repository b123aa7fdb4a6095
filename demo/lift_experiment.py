"""Measure lift where the truth is known: pushes to simulated users, from the forecast workflow to the comparison.

The demo trains on a world's events up to a date. Then, date by date, the forecast workflow plans the sends and hands
them over, the world answers them (`demo.push_world`), and the answers join the users' other visits in the events table.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlparse

import boto3
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from rich.table import Table

from demo.errors import DemoError
from demo.events import read_events
from demo.forecast_run import run_forecast
from demo.lift import measure_lift, show_lift
from demo.production import ensure_production
from demo.push_world import DAY_MINUTES, Floats, Law, PushWorld, local_minutes, make_world
from demo.simulator import simulate
from demo.upload import partition_files, put_files
from visitcast.data import schema
from visitcast.data.calendar import date_of
from visitcast.data.schedule import QUIET_HOURS, SCHEDULE_HOUR_UTC
from visitcast.data.schema import HOURS
from visitcast.sending import arms
from visitcast.sending.send_window import SendRules, allowed_hours

if TYPE_CHECKING:
    from rich.console import Console

    from demo.run import Options

LAWS = {
    "nothing": Law(),
    "moved": Law(moved=0.5),
    "caused": Law(moved=0.5, caused=0.2),
    "annoyed": Law(moved=0.2, opts_out=0.3, stays_away=0.8),
}
"""What pushes may do; more than in a real app, so that a few users and dates show it."""
ALLOWED = allowed_hours(SendRules())
QUICK: dict[str, Any] = {"Hyperparameters": {"epochs": 3}, "Gate": {"MustBeat": []}}
"""Input of the training. The experiment is about the sends and does not need the best model."""
CAMPAIGN = "lift"
REPORTS_A_CALL = 1000
"""Far below the 6 MB of a call of a function: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""
_SHARES = {"GlobalBestHourShare": 0.125, "RandomHourShare": 0.125, "NoPushShare": 0.375}
"""Two large arms, since each third of their users needs 200."""


class Known(NamedTuple):
    """Forecast date, days since 1970-01-01, and its rows of ``visit_forecasts`` and ``send_plans``."""

    day: int
    forecasts: pa.Table
    plans: pa.Table


@dataclass(frozen=True)
class Experiment:
    """Settings of an experiment.

    Attributes
    ----------
    dates : int
        Forecast dates, one send to each user on each.
    hours : int
        A visit within this time after a send is a hit.
    wanted : float
        Smallest relative lift that is worth detecting.
    world : str
        One of `LAWS`.
    seed : int
        Of the answers.
    """

    dates: int = 3
    hours: int = 2
    wanted: float = 0.3
    world: str = "caused"
    seed: int = 11

    def input(self, day: int) -> dict[str, Any]:
        """Return the execution input of a date: large control arms, and no rule that removes users from an arm."""
        return {
            "ForecastDate": _iso(day),
            # As the schedule: later, the first hours would be over in the east, and users have other possible hours.
            "AsOf": f"{_iso(day - 1)}T{SCHEDULE_HOUR_UTC}:00:00Z",
            "Campaign": {
                "Name": CAMPAIGN,
                "QuietHours": {"From": QUIET_HOURS[0], "Until": QUIET_HOURS[1]},
                "MinimumGapHours": 0,
                "LargestHourShare": 1,
                "PricePerPush": 0.01,
                "Control": {"Salt": "lift", **_SHARES},
            },
            "Lift": {"ResponseHours": self.hours, "WantedRelativeLift": self.wanted},
        }


DEFAULTS = Experiment()


def run_experiment(experiment: Experiment, options: Options, console: Console) -> dict[str, Any]:
    """Run it in the region that the AWS_* variables point to, and print the lift beside its truth.

    Returns
    -------
    dict
        The last result of `demo.lift.measure_lift`, with ``Truth`` (see `truth_of`) and ``TruthOfThirds``.
    """
    events = (read_events(options.events, options.mapping) if options.events else _simulated(options)).sort_by(
        schema.EVENT_TIME
    )
    local_day = local_minutes(events) // DAY_MINUTES
    # The last local date is not over everywhere.
    first = int(local_day.max()) - experiment.dates
    if first <= int(local_day.min()):
        raise DemoError(
            f"{experiment.dates:,} dates of pushes leave no events to train on.",
            f"The events are of {int(local_day.max() - local_day.min()) + 1:,} dates.",
            "Choose fewer --dates, or more --days or another events file.",
        )
    before = options.output / "events-before-the-pushes.parquet"
    before.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(events.filter(pa.array(local_day < first)), before)
    world = make_world(events, first, LAWS[experiment.world])
    outputs = ensure_production(replace(options, events=before, mapping=None, execution_input=QUICK), console)

    s3, rng, known = boto3.client("s3"), np.random.default_rng(experiment.seed), list[Known]()
    annoyed = np.zeros(len(world.user_ids), dtype=np.bool_)

    def put_visits_without_pushes(day: int) -> None:
        of_date = events.filter(pa.array(local_day == day))
        user = _users(world, of_date)
        # One draw a user, as it is all events of the date or none.
        away = annoyed & (rng.random(len(annoyed)) < world.law.stays_away)
        put_files(s3, outputs["BucketName"], dict(partition_files(of_date.filter(pa.array(~away[user])))))

    dates = f"{experiment.dates} date{'' if experiment.dates == 1 else 's'}"
    console.print(f"\nPushes to {len(world.user_ids):,} simulated users on {dates}; world: {experiment.world}")
    measured: dict[str, Any] = {}
    # For the run of a date, the date has begun in the east. It does not read events from after its time, AsOf.
    put_visits_without_pushes(first)
    for day in range(first, first + experiment.dates):
        run = run_forecast(outputs["ForecastStateMachineArn"], experiment.input(day))["run"]
        plans, forecasts = (_read(s3, run["Uris"][name]) for name in ("Plans", "Forecasts"))
        sends = plans.filter(pc.is_null(plans[schema.WITHHELD]))
        sent = sends[schema.SEND_AT_UTC].to_numpy().astype("datetime64[m]").astype(np.int64)
        hours = sends[schema.SEND_HOUR].to_numpy().astype(np.int64)
        user = _users(world, sends)
        answers = world.answers(rng, user, day, sent, hours)
        put_files(s3, outputs["BucketName"], dict(partition_files(answers.cast(events.schema))))
        opted_out = np.flatnonzero(rng.random(len(user)) < world.law.opts_out)
        report_opt_outs(outputs["PushConsumerFunctionName"], sends.take(pa.array(opted_out, pa.int64())))
        annoyed[user[opted_out]] = True
        put_visits_without_pushes(day + 1)
        known.append(Known(day, forecasts, plans))
        console.print(f"\n{_iso(day)}: {sends.num_rows:,} pushes, {answers.num_rows:,} visits soon after one")
        # By then 24 hours after the latest push are over everywhere.
        as_of = datetime.combine(date_of(day + 2), time(12), UTC)
        measured = measure_lift(outputs, run["Lift"], date_of(day), as_of)
        console.print(next(iter(measured["Words"]), "No sends yet whose date and 24 hours are over."))
        if experiment.world == "annoyed":
            console.print(f"{len(opted_out):,} users opted out")
    truth, of_thirds = truth_of(world, known), truth_of_thirds(world, known, measured["Thirds"])
    console.print("\nAll dates together:")
    show_lift(console, measured, of_thirds)
    show_truth(console, measured, truth)
    return {**measured, "Truth": truth, "TruthOfThirds": of_thirds}


def report_opt_outs(consumer: str, sends: pa.Table) -> None:
    """Report that the users of some pushes opted out, as a sender does."""
    reports = [
        {
            "version": 1,
            "idempotency_key": send[schema.IDEMPOTENCY_KEY],
            "user_id": send[schema.USER_ID],
            "campaign": CAMPAIGN,
            "forecast_date": f"{send[schema.SEND_AT_LOCAL]:%Y-%m-%d}",
            "status": schema.OPTED_OUT,
            "reported_at": f"{send[schema.SEND_AT_UTC]:%Y-%m-%dT%H:%M:%SZ}",
        }
        for send in sends.to_pylist()
    ]
    for start in range(0, len(reports), REPORTS_A_CALL):
        records = [
            {"messageId": f"{number}", "eventSource": "aws:sqs", "body": json.dumps(report)}
            for number, report in enumerate(reports[start : start + REPORTS_A_CALL])
        ]
        answer = boto3.client("lambda").invoke(FunctionName=consumer, Payload=json.dumps({"Records": records}).encode())
        if "FunctionError" in answer or json.loads(answer["Payload"].read())["batchItemFailures"]:
            raise DemoError("The opt-outs could not be reported.", consumer, "Look into the function's log.")


def truth_of(world: PushWorld, known: Sequence[Known], users: pa.Array[Any] | None = None) -> dict[str, float]:
    """Return the visits per 1,000 pushes that each arm causes, if all users, or some, were in it.

    Every date has the same users, so the dates weigh the same.
    """
    rates, pushes = [], []
    for number, (day, forecasts, plans) in enumerate(known):
        chosen = forecasts if users is None else forecasts.filter(pc.is_in(forecasts[schema.USER_ID], users))
        rates.append(true_rates(world, day, chosen, plans, pushes=number))
        pushes.append(1 - world.opted_out(number))
    mean = {arm: float(np.mean([of_date[arm] for of_date in rates])) for arm in rates[0]}
    return {arm: 1000 * (rate - mean[arms.NO_PUSH]) / float(np.mean(pushes)) for arm, rate in mean.items()}


def truth_of_thirds(
    world: PushWorld, known: Sequence[Known], thirds: Sequence[Mapping[str, Any]]
) -> list[float | None]:
    """Return the visits per 1,000 pushes that best_hour causes in each third; None in one without users."""
    plans = pd.concat([plans.select([schema.USER_ID, schema.VISIT_PROBABILITY]).to_pandas() for _, _, plans in known])
    chance = plans.drop_duplicates(schema.USER_ID).set_index(schema.USER_ID)[schema.VISIT_PROBABILITY].fillna(0)
    found: list[float | None] = []
    for third in thirds:
        inside = chance.index[chance.between(third["lowest_probability"], third["highest_probability"])]
        found.append(truth_of(world, known, pa.array(inside))[arms.BEST_HOUR] if len(inside) else None)
    return found


def true_rates(world: PushWorld, day: int, forecasts: pa.Table, plans: pa.Table, pushes: int = 0) -> dict[str, float]:
    """Return the visits on the date, per send, that are expected if everyone were in the same arm, by arm.

    Parameters
    ----------
    day : int
        Days since 1970-01-01.
    forecasts, plans : pyarrow.Table
        The run's rows of ``visit_forecasts`` and ``send_plans``.
    pushes : int
        To each user before that date.
    """
    user = _users(world, forecasts)
    hours = np.broadcast_to(np.arange(HOURS), (len(user), HOURS))
    chance = world.chance(np.repeat(user[:, None], HOURS, axis=1), day, hours, pushes)
    visit_hour = np.stack(forecasts[schema.HOUR_PROBABILITIES].to_pandas().to_list())
    best = np.where(ALLOWED, visit_hour, -1).argmax(axis=1)
    in_control = plans.filter(pc.equal(plans[schema.ARM], pa.scalar(arms.GLOBAL_BEST_HOUR)))
    (one_for_all,) = set(in_control[schema.SEND_HOUR].to_pylist())
    return {
        arms.BEST_HOUR: float(_pick(chance, best).mean()),
        arms.GLOBAL_BEST_HOUR: float(chance[:, one_for_all].mean()),
        arms.RANDOM_HOUR: float(chance[:, ALLOWED].mean()),
        arms.NO_PUSH: float(world.comes(user, day).mean()),
    }


def show_truth(console: Console, measured: dict[str, Any], truth: dict[str, float]) -> None:
    """Print the visits caused by each arm, as measured and as they are, beside the hits, which say nothing about it."""
    hits = {arm["arm"]: arm["hit"] for arm in measured["Arms"]}
    table = Table(box=None)
    for name in ("arm", "hits", "visits caused per 1,000 pushes", "95% interval", "verdict", "truth"):
        table.add_column(name, justify="left" if name in ("arm", "verdict") else "right")
    for lift in measured["Lifts"]:
        if lift["control"] == arms.NO_PUSH and lift["outcome"] == "visited_date":
            known = lift["per_1000_pushes"] is not None
            figure = f"{lift['per_1000_pushes']:+.0f}" if known else "-"
            interval = f"{lift['per_1000_pushes_low']:+.0f} to {lift['per_1000_pushes_high']:+.0f}" if known else "-"
            caused = f"{truth[lift['arm']]:+.0f}"
            table.add_row(lift["arm"], f"{hits[lift['arm']]:.1%}", figure, interval, lift["verdict"], caused)
    if arms.NO_PUSH in hits:
        table.add_row(arms.NO_PUSH, f"{hits[arms.NO_PUSH]:.1%}", "-", "-", "-", "+0")
    console.print("\nVisits caused, and the truth of this world:")
    console.print(table)


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
