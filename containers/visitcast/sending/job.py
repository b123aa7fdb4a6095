"""The two processing jobs of the forecast workflow, before and after the batch transform."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from visitcast import paths
from visitcast.contract import progress, whole_folder
from visitcast.data import schema
from visitcast.data.dataset import platform_codes
from visitcast.data.histories import read_blocks
from visitcast.data.left_out import LeftOut
from visitcast.data.schema import HOURS
from visitcast.forecasting.profile import Profile, profile, weekday_of
from visitcast.metrics import BEST_HOUR_HIT_RATE, LOG_LOSS
from visitcast.model.baselines import TUNED_HISTOGRAM
from visitcast.sending import drift, policy
from visitcast.sending.answers import Forecasts
from visitcast.sending.arms import BEST_HOUR
from visitcast.sending.audience import read_audience
from visitcast.sending.plan import Plan
from visitcast.sending.plan_inputs import (
    counts,
    expected_of,
    follows_response,
    parquet_files,
    planned,
    read_plan_inputs,
    read_rows,
    sums,
    to_send,
)
from visitcast.sending.realised import ClosedDates, in_words
from visitcast.sending.requests import LEFT_OUT_FILE, Asked, write_requests, write_users
from visitcast.sending.send_times import all_zones, unknown_zones
from visitcast.sending.send_window import barred_date
from visitcast.sending.settings import Campaign, as_of, campaign, environment_name, forecast_date, users_per_file

MESSAGES_PER_FILE: Final = 20_000
"""At most, since rows that are withheld count too. One Lambda hands a file over within a minute or so."""
ROWS_PER_FILE: Final = 1_000_000
MESSAGE_VERSION: Final = 2
_SHOWN_SENDS: Final = 5


def requests() -> None:
    """Write the request lines and the user list.

    Raises
    ------
    InputError
        Settings or visits cannot be used. Nothing is written then.
    """
    date = forecast_date(os.environ)
    progress(0.0, "reading the audience")
    left_out = LeftOut()
    known, listed = paths.forecast_input("known"), paths.forecast_input("audience")
    audience = read_audience(parquet_files(known), sorted(listed.rglob("*.csv")), left_out)
    progress(0.05, "writing requests")
    data_end = as_of(os.environ)
    blocks = read_blocks(parquet_files(paths.forecast_input("histories")), data_end, left_out=left_out)
    with whole_folder(paths.forecast_output("requests")) as folder:
        users = write_requests(blocks, audience, Asked(date, data_end), folder, users_per_file(os.environ), left_out)
    progress(0.9, "listing the users")
    with whole_folder(paths.forecast_output("users")) as folder:
        write_users(folder, users, left_out)
    progress(1.0, f"done: {users.num_rows:,} users, {left_out.rules.total():,} left out")


def plan() -> None:
    """Check the forecasts, write the tables of the date, the messages to hand over and the report.

    Raises
    ------
    InputError
        The forecasts failed validation, or the settings cannot be used. Nothing is written then.
    """
    planned_for = campaign(paths.campaign_file())
    progress(0.0, "reading the answers")
    inputs = read_plan_inputs(paths.forecast_input(""), os.environ)
    date, users, forecasts, closed = inputs.date, inputs.users, inputs.forecasts, inputs.closed
    day = str(np.datetime64(date, "D"))
    progress(0.4, "comparing with the training data, four weeks ago and the dates that are over")
    counted = profile_of(users, forecasts, date)
    evaluation = _json("reference", "evaluation.json")
    trained = evaluation.get("profile", {}).get(weekday_of(date))
    evaluated = evaluation["as_sent"] if evaluation else {}
    by_baseline = bool((forecasts.source == schema.BASELINE).any())
    if by_baseline and evaluation:
        # The baseline is judged by its own figures; the training data's profile has the forecasts of the model.
        evaluated = evaluated["baselines"][TUNED_HISTOGRAM]
        trained = trained and {name: bins for name, bins in trained.items() if name.startswith(drift.INPUT)}
    references = {drift.TRAINING: trained, drift.FOUR_WEEKS_AGO: _json("reference", "profile.json")}
    verdict = drift.judge(counted, references, _outcomes(), evaluated, closed, planned_for.limits)
    progress(0.5, f"planning the sends of {users.num_rows:,} users")
    sends = planned(inputs, planned_for)
    progress(0.8, "writing tables and messages")
    with ExitStack() as outputs:
        # All four or none: each folder is renamed when the block ends well.
        tables, plans, messages, report = (
            outputs.enter_context(whole_folder(paths.forecast_output(name)))
            for name in ("forecasts", "plans", "messages", "report")
        )
        _write_parts(tables, forecast_table(users, forecasts), users.num_rows)
        _write_parts(plans, sends.table, users.num_rows)
        files = write_messages(messages, sends.table, planned_for.name, day)
        found = summary(users, forecasts, sends, closed, verdict, files, planned_for.name, day)
        found["policy"] = policy.to_json(inputs.judged, followed=follows_response(inputs, planned_for))
        found["expectation"] += policy.in_words(inputs.judged)
        found["left_out"] = _json("users", LEFT_OUT_FILE)
        found["notes"] = notes(sends, planned_for, date, evaluated if by_baseline else None)
        if note := found["left_out"].get("note"):
            found["notes"].insert(0, note)
        found["metrics"] = drift.metrics(verdict, closed, environment_name(os.environ))
        for name, content in {"profile.json": counted, "report.json": found}.items():
            (report / name).write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")
    progress(1.0, f"done: {found['sends']['planned']:,} sends planned")


def profile_of(users: pa.Table, forecasts: Forecasts, date: int) -> Profile:
    """Count inputs and forecasts of a date for the drift check."""
    last = users[schema.LAST_VISIT_DATE].to_numpy().astype("datetime64[D]")
    absent = np.where(np.isnat(last), 100_000, date - 1 - last.astype(np.int64))
    return profile(
        platform=platform_codes(users[schema.PLATFORM].to_numpy()),
        utc_offset_minutes=users[schema.UTC_OFFSET_MINUTES].to_numpy().astype(np.int16),
        history_days=users[schema.HISTORY_DAYS].to_numpy(),
        absent_days=absent,
        first_visit_hour=forecasts.first_visit_hour,
        best_hour=forecasts.best_hour,
        confidence=forecasts.confidence,
    )


def forecast_table(users: pa.Table, forecasts: Forecasts) -> pa.Table:
    """Lay out the table ``visit_forecasts``."""
    columns: dict[str, Any] = {
        schema.USER_ID: users[schema.USER_ID],
        schema.FIRST_HOUR_PROBABILITIES: _lists(forecasts.first_visit_hour),
        schema.HOUR_PROBABILITIES: _lists(forecasts.visit_hour),
        schema.BEST_HOUR: pa.array(forecasts.best_hour.astype(np.int8)),
        schema.CONFIDENCE: pa.array(forecasts.confidence),
        schema.SOURCE: pa.array(forecasts.source, pa.string()),
        schema.PLATFORM: users[schema.PLATFORM],
        schema.UTC_OFFSET_MINUTES: users[schema.UTC_OFFSET_MINUTES],
        schema.TIME_ZONE: users[schema.TIME_ZONE],
        schema.LAST_VISIT_DATE: users[schema.LAST_VISIT_DATE],
        schema.VISIT_PROBABILITY: pa.array(forecasts.visit_probability, from_pandas=True),
    }
    return pa.table(columns)


def write_messages(folder: Path, sends: pa.Table, campaign: str, date: str) -> list[str]:
    """Write one JSON line per push, in the order of sending; return the names of the files.

    Beside each file lies the record of its hand-over, ``.parquet`` instead of ``.jsonl``: the rows of the plan that it
    covers. Rows that are withheld lie among those of the same hours, so that all arms are on record or none is.
    """
    names = []
    for start in range(0, sends.num_rows, MESSAGES_PER_FILE):
        name, rows = f"messages-{start // MESSAGES_PER_FILE:05d}.jsonl", sends.slice(start, MESSAGES_PER_FILE)
        lines = message_lines(to_send(rows), campaign, date)
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        pq.write_table(rows, (folder / name).with_suffix(".parquet"), compression="zstd")
        names.append(name)
    return names


def message_lines(sends: pa.Table, campaign: str, date: str) -> list[str]:
    """Turn rows of the send plan into the messages that are handed over, as JSON."""
    utc, local = (
        np.datetime_as_string(sends[name].to_numpy().astype("datetime64[s]"))
        for name in (schema.SEND_AT_UTC, schema.SEND_AT_LOCAL)
    )
    chances = sends[schema.CHANCE].to_numpy().astype(np.float64).round(6)
    # A dictionary for each of millions of sends would take most of the job's time.
    columns = [
        map(json.dumps, sends[schema.USER_ID].to_pylist()),
        sends[schema.ARM].to_pylist(),
        sends[schema.SEND_HOUR].to_pylist(),
        utc.tolist(),
        local.tolist(),
        ["null" if np.isnan(chance) else chance for chance in chances.tolist()],
        sends[schema.SOURCE].to_pylist(),
        sends[schema.IDEMPOTENCY_KEY].to_pylist(),
    ]
    return [
        f'{{"{schema.USER_ID}":{user},"{schema.ARM}":"{arm}","{schema.SEND_HOUR}":{hour},"{schema.SEND_AT_UTC}":"{at}Z",'
        f'"{schema.SEND_AT_LOCAL}":"{wall}","{schema.CHANCE}":{chance},"{schema.SOURCE}":"{source}","{schema.IDEMPOTENCY_KEY}":"{key}",'
        f'"version":{MESSAGE_VERSION},"{schema.CAMPAIGN}":"{campaign}","forecast_date":"{date}"}}'
        for user, arm, hour, at, wall, chance, source, key in zip(*columns, strict=True)
    ]


def summary(
    users: pa.Table,
    forecasts: Forecasts,
    sends: Plan,
    closed: ClosedDates,
    verdict: drift.Verdict,
    files: list[str],
    campaign: str,
    date: str,
) -> dict[str, Any]:
    """Sum up the run for the state machine and for people; small, whatever the number of users."""
    sent = to_send(sends.table)
    expected = expected_of(sent, closed)
    return {
        "schema_version": 1,
        "users": users.num_rows,
        "sources": counts(pa.array(forecasts.source, pa.string())),
        "best_hours": np.bincount(forecasts.best_hour, minlength=HOURS).tolist(),
        "local_time": local_time(users),
        "unknown_time_zones": unknown_zones(users[schema.TIME_ZONE].to_pandas().to_numpy(dtype=object))[:_SHOWN_SENDS],
        "sends": sums(sends, closed),
        "closed_dates": asdict(closed),
        "expectation": in_words(expected, closed),
        "drift": asdict(verdict),
        "message_files": files,
        "examples": [json.loads(line) for line in message_lines(_spread_out(sent), campaign, date)],
    }


def notes(sends: Plan, planned: Campaign, date: int, of_baseline: Mapping[str, float] | None) -> list[str]:
    """Say what people should know of a plan before they rely on it.

    Parameters
    ----------
    sends : Plan
        The plan.
    planned : Campaign
        Its campaign.
    date : int
        Days since 1970-01-01.
    of_baseline : mapping, optional
        Figures of the baseline, if it forecasts; may be empty.
    """
    found = []
    if of_baseline is not None:
        figures = (
            f" Its forecasts as sent have a log loss of {of_baseline[LOG_LOSS]:.3f} nats and a hit rate of "
            f"{of_baseline[BEST_HOUR_HIT_RATE]:.3f}."
            if of_baseline
            else ""
        )
        found.append(
            "No model is in production, since the gate rejected the newest one: the baseline, the tuned histogram, "
            f"forecasts (source: {schema.BASELINE}; OnNoModel: stop prevents it).{figures}"
        )
    if barred := barred_date(planned.rules, date):
        found.append(f"No push is planned: {barred}")
    if sends.moved or sends.no_room:
        treated = counts(sends.table[schema.ARM]).get(BEST_HOUR, 0)
        found.append(
            f"Full hours: {sends.moved:,} of {treated:,} users ({sends.moved / max(treated, 1):.0%}) get the push at "
            f"another hour than their own best, and {sends.no_room:,} get none, since at most "
            f"{planned.largest_hour_share:.0%} of the users may get it in one hour of UTC "
            f"(Campaign.LargestHourShare). This costs {sends.loss:.1%} of the visits expected at everybody's own best "
            "hour."
        )
    return found


def local_time(users: pa.Table) -> dict[str, int]:
    """Count users by where their local time comes from."""
    given = np.array([name in all_zones() for name in users[schema.TIME_ZONE].to_pylist()], dtype=bool)
    inferred = users[schema.INFERRED_TIME_ZONE].is_valid().to_numpy()
    counts = (given.sum(), (inferred & ~given).sum(), (~inferred & ~given).sum())
    return dict(
        zip(("time zone given", "time zone inferred", "offset of the last visit"), map(int, counts), strict=True)
    )


def _spread_out(sends: pa.Table) -> pa.Table:
    rows = np.unique(np.linspace(0, sends.num_rows - 1, min(_SHOWN_SENDS, sends.num_rows)).astype(np.int64))
    return sends.take(pa.array(rows, pa.int64()))


def _outcomes() -> dict[str, float] | None:
    """Outcomes of the last dates that are over: one line of numbers, empty where nothing could be compared."""
    found = read_rows(paths.forecast_input("outcomes"))
    rows = [{name: float(value or "nan") for name, value in row.items()} for row in found]
    return next((row for row in rows if row[drift.ROWS]), None)


def _json(name: str, file: str) -> dict[str, Any]:
    """Content of a file; empty if it is not there."""
    place = paths.forecast_input(name) / file
    content: dict[str, Any] = json.loads(place.read_text(encoding="utf-8")) if place.is_file() else {}
    return content


def _lists(values: Any) -> Any:
    offsets: Any = pa.array(np.arange(0, values.size + 1, HOURS, dtype=np.int32))
    return pa.ListArray.from_arrays(offsets, pa.array(values.ravel()))


def _write_parts(folder: Path, table: pa.Table, users: int) -> None:
    # As many files whenever these users are planned for: a plan that is made again overwrites all files of the first.
    for start in range(0, max(users, 1), ROWS_PER_FILE):
        part = table.slice(start, ROWS_PER_FILE)
        pq.write_table(part, folder / f"part-{start // ROWS_PER_FILE:05d}.parquet", compression="zstd")
