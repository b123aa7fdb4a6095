"""Everything that a send plan is made from, and the plan that a campaign's rules make of it.

The processing job reads it once and plans once; the console reads the same files and plans for other rules.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from visitcast.data import schema
from visitcast.data.histories import is_parquet
from visitcast.sending import policy
from visitcast.sending.answers import Forecasts, gather
from visitcast.sending.capacity import SAMPLE_USERS
from visitcast.sending.plan import Plan, plan_sends
from visitcast.sending.pushes import Pushes, read_pushes
from visitcast.sending.realised import ClosedDates, Expected, expected_visits, read_closed_dates
from visitcast.sending.send_log import read_send_log
from visitcast.sending.settings import Campaign, as_of, forecast_date

USERS: Final = "users"
ANSWERS: Final = "answers"
REALISED: Final = "realised"
PUSHES: Final = "pushes"
LOG: Final = "log"
NAMES: Final = (USERS, ANSWERS, REALISED, PUSHES, LOG)
"""Inputs of the plan's job that :func:`read_plan_inputs` reads."""


@dataclass(frozen=True)
class PlanInputs:
    """What is known of a date before its sends are planned.

    Attributes
    ----------
    date : int
        Days since 1970-01-01.
    as_of : int
        Instant at which the data end, minutes since 1970-01-01T00:00Z.
    users : pyarrow.Table
        The user list.
    forecasts : Forecasts
        In the order of `users`.
    closed : ClosedDates
        Forecasts and visits of the dates that are over.
    pushes : Pushes
        Of all campaigns, without those of this campaign on this date.
    judged : policy.Judgement
        What the log of sends says of the policies.
    """

    date: int
    as_of: int
    users: pa.Table
    forecasts: Forecasts
    closed: ClosedDates
    pushes: Pushes
    judged: policy.Judgement


def read_plan_inputs(folder: Path, environment: Mapping[str, str]) -> PlanInputs:
    """Read the inputs of a plan.

    Parameters
    ----------
    folder : Path
        Holds a folder for each of `NAMES`.
    environment : mapping of str
        The job's: date and instant.

    Raises
    ------
    InputError
        The forecasts failed validation, or a setting or file cannot be read.
    """
    date = forecast_date(environment)
    users = pa.concat_tables(pq.ParquetFile(file).read() for file in parquet_files(folder / USERS))
    return PlanInputs(
        date=date,
        as_of=math.ceil(as_of(environment).timestamp() / 60),
        users=users,
        forecasts=gather(users, sorted((folder / ANSWERS).rglob("*.out")), str(np.datetime64(date, "D"))),
        closed=read_closed_dates(read_rows(folder / REALISED)),
        pushes=read_pushes(sorted((folder / PUSHES).rglob("*.csv")), users[schema.USER_ID]),
        judged=policy.judge(read_send_log(parquet_files(folder / LOG))),
    )


def follows_response(inputs: PlanInputs, campaign: Campaign) -> bool:
    """Return whether the pushes of a campaign go out in the hours that cause most visits."""
    return campaign.by_response and inputs.judged.verdict == policy.BETTER


def planned(inputs: PlanInputs, campaign: Campaign, sample_users: int = SAMPLE_USERS) -> Plan:
    """Plan the sends for a campaign; `sample_users` as in :func:`visitcast.sending.capacity.spread`."""
    return plan_sends(
        inputs.users,
        inputs.forecasts,
        inputs.pushes,
        inputs.date,
        campaign,
        inputs.closed.correction,
        inputs.closed.chance_correction,
        inputs.judged.response if follows_response(inputs, campaign) else None,
        as_of=inputs.as_of,
        sample_users=sample_users,
    )


def sums(sends: Plan, closed: ClosedDates) -> dict[str, Any]:
    """Sum up a plan, as its report has it under ``sends``."""
    sent = to_send(sends.table)
    per_hour = pd.Series(sent[schema.SEND_AT_UTC].to_pandas()).dt.floor("h").value_counts().sort_index()
    return {
        "planned": sent.num_rows,
        "withheld": counts(pc.drop_null(sends.table[schema.WITHHELD])),
        "expected_visits": asdict(expected_of(sent, closed)),
        "by_arm": counts(sends.table[schema.ARM]),
        "by_utc_hour": {f"{hour:%Y-%m-%dT%H}:00Z": int(count) for hour, count in per_hour.items()},
        "barred": sends.barred,
        "no_room": sends.no_room,
        "moved": sends.moved,
        "loss": sends.loss,
    }


def expected_of(sent: pa.Table, closed: ClosedDates) -> Expected:
    """Return the visits expected in the hours of some sends."""
    return expected_visits(sent[schema.CHANCE].to_numpy(), closed)


def to_send(sends: pa.Table) -> pa.Table:
    """Return the rows of a plan that are not withheld."""
    return sends.filter(pc.is_null(sends[schema.WITHHELD]))


def counts(column: Any) -> dict[str, int]:
    """Count the values of a column."""
    return {entry["values"]: entry["counts"] for entry in pc.value_counts(column).to_pylist()}


def parquet_files(folder: Path) -> list[Path]:
    """List the Parquet files below a folder, whatever their names."""
    return [file for file in sorted(folder.rglob("*")) if file.is_file() and is_parquet(file)]


def read_rows(folder: Path) -> list[dict[str, str]]:
    """Read the rows of a query's result, as text."""
    found: list[dict[str, str]] = []
    for file in sorted(folder.rglob("*.csv")):
        with file.open(encoding="utf-8", newline="") as stream:
            found += csv.DictReader(stream)
    return found
