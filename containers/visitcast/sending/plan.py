"""The send plan of a date: for every user the arm, the hour and the instant of the push."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from visitcast.data import schema
from visitcast.forecasting.correction import NO_CORRECTION, Correction, corrected
from visitcast.sending import arms
from visitcast.sending.answers import Forecasts
from visitcast.sending.audience import minutes_of
from visitcast.sending.capacity import UNSENT, spread
from visitcast.sending.send_times import NEVER, LocalHours, local_hours
from visitcast.sending.send_window import allowed_hours, sendable
from visitcast.sending.settings import Campaign

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Plan:
    """Pushes of a date.

    Attributes
    ----------
    table : pyarrow.Table
        One row per send: ``user_id``, ``arm``, ``send_hour`` (local), ``send_at_utc``, ``send_at_local``, ``chance``,
        ``source``, ``idempotency_key``, ``visit_probability``. The chance is that the user comes and visits in the
        hour of the send; it and the probability that the user comes are null for users who never came.
    barred : int
        Users without an allowed hour: quiet hours, window, or the gap since the last push.
    no_room : int
        Users left out because every allowed hour is full.
    moved : int
        Users whose push is not at their best allowed hour because of the capacity.
    loss_bound : float
        Largest share of the expected visits that is lost against the best possible assignment.
    """

    table: pa.Table
    barred: int
    no_room: int
    moved: int
    loss_bound: float


def plan_sends(
    users: pa.Table, forecasts: Forecasts, date: int, campaign: Campaign, correction: Correction = NO_CORRECTION
) -> Plan:
    """Plan the sends of a date.

    Control users keep the hour of their arm, and the others share the remaining capacity: nobody is moved whose hour
    is compared. Where the capacity does not suffice, users who never came are left out first.

    Parameters
    ----------
    users : pyarrow.Table
        The user list, in the order of `forecasts`.
    forecasts : Forecasts
        Of that date.
    date : int
        Days since 1970-01-01.
    campaign : Campaign
        Rules, capacity and control group.
    correction : Correction
        Of the probability of coming, see :mod:`visitcast.sending.realised`.
    """
    ids = users[schema.USER_ID].to_numpy()
    offsets: Any = users[schema.UTC_OFFSET_MINUTES].to_numpy()
    hours = local_hours(date, offsets, users[schema.TIME_ZONE].to_pandas().to_numpy(dtype=object))
    last_push: Any = minutes_of(pd.Series(users[schema.LAST_PUSH_AT].to_pandas()))
    earliest = (last_push + campaign.rules.minimum_gap_minutes).astype(np.int32)
    possible = sendable(hours, allowed_hours(campaign.rules), earliest)
    arm = arms.arm_codes(ids, campaign.control)
    probability = corrected(forecasts.visit_probability, correction).astype(np.float32)
    hour, gap = _assign(ids, forecasts.visit_hour, probability, hours, possible, arm, date, campaign)
    sent = np.flatnonzero(hour != UNSENT)
    utc, local = hours.at(np.maximum(hour, 0))
    treated = arm == arms.ARMS.index(arms.BEST_HOUR)
    first_choice = np.where(possible, forecasts.visit_hour, -1).argmax(axis=1)
    chosen = users.take(sent)
    columns: dict[str, Any] = {
        schema.USER_ID: chosen[schema.USER_ID],
        schema.ARM: pa.array(np.array(arms.ARMS)[arm[sent]], pa.string()),
        schema.SEND_HOUR: pa.array(hour[sent].astype(np.int8)),
        schema.SEND_AT_UTC: _timestamps(utc[sent]),
        schema.SEND_AT_LOCAL: _timestamps(local[sent]),
        schema.CHANCE: pa.array(probability[sent] * forecasts.visit_hour[sent, hour[sent]], from_pandas=True),
        schema.SOURCE: pa.array(forecasts.source[sent], pa.string()),
        schema.IDEMPOTENCY_KEY: pa.array(idempotency_keys(ids[sent], campaign.name, date), pa.string()),
        schema.VISIT_PROBABILITY: pa.array(probability[sent], from_pandas=True),
    }
    barred = int((~possible.any(axis=1)).sum())
    return Plan(
        table=pa.table(columns).sort_by([(schema.SEND_AT_UTC, "ascending"), (schema.USER_ID, "ascending")]),
        barred=barred,
        no_room=len(hour) - len(sent) - barred,
        moved=int((treated & (hour != UNSENT) & (hour != first_choice)).sum()),
        loss_bound=gap,
    )


def _assign(
    ids: NDArray[Any],
    visit_hour: NDArray[np.float32],
    probability: NDArray[np.float32],
    hours: LocalHours,
    possible: Mask,
    arm: NDArray[np.int8],
    date: int,
    campaign: Campaign,
) -> tuple[NDArray[np.int64], float]:
    """Return the hour of each user, ``UNSENT`` for none, and the bound on the expected visits that are lost."""
    # The sender's capacity is per hour of UTC: it does not know local time.
    bucket = hours.utc.astype(np.int64) // 60
    # An hour that never comes is not possible, so its bucket does not matter.
    bucket = np.where(hours.utc == NEVER, 0, bucket - bucket.min())
    capacity = np.full(int(bucket.max()) + 1, max(1, int(campaign.largest_hour_share * len(ids))), dtype=np.int64)
    came = ~np.isnan(probability)
    hour = _control_hours(ids, visit_hour, probability, possible, arm, date, campaign)
    hour = _within_capacity(hour, bucket[hours.clock, np.maximum(hour, 0)], capacity, ids, came, campaign)
    _take(capacity, bucket, hours.clock, hour)

    def fill(rows: NDArray[np.int64], value: NDArray[np.float32]) -> float:
        assignment = spread(value, bucket, hours.clock[rows], possible[rows], capacity)
        hour[rows] = assignment.hour
        _take(capacity, bucket, hours.clock[rows], assignment.hour)
        return assignment.gap

    treated = arm == arms.ARMS.index(arms.BEST_HOUR)
    known, unknown = np.flatnonzero(treated & came), np.flatnonzero(treated & ~came)
    gap = fill(known, visit_hour[known] * probability[known, None])
    # Nobody knows whether a user who never came will come: such users get what is left, by the hour alone.
    fill(unknown, visit_hour[unknown])
    return hour, gap


def _take(
    capacity: NDArray[np.int64], bucket: NDArray[np.int64], clock: NDArray[np.int64], hour: NDArray[np.int64]
) -> None:
    """Subtract sends from the capacity, in place."""
    sent = hour != UNSENT
    np.subtract.at(capacity, bucket[clock[sent], hour[sent]], 1)


def _control_hours(
    ids: NDArray[Any],
    visit_hour: NDArray[np.float32],
    probability: NDArray[np.float32],
    possible: Mask,
    arm: NDArray[np.int8],
    date: int,
    campaign: Campaign,
) -> NDArray[np.int64]:
    """Return the hours of the control users; ``UNSENT`` for the others and where the arm's hour is not possible."""
    hour = np.full(len(ids), UNSENT, dtype=np.int64)
    one_for_all = np.flatnonzero(arm == arms.ARMS.index(arms.GLOBAL_BEST_HOUR))
    best = global_best_hour(visit_hour, probability, campaign)
    hour[one_for_all] = np.where(possible[one_for_all, best], best, UNSENT)
    random = np.flatnonzero(arm == arms.ARMS.index(arms.RANDOM_HOUR))
    drawn = arms.random_hours(ids[random], campaign.control, str(np.datetime64(date, "D")), possible[random])
    hour[random] = np.where(possible[random].any(axis=1), drawn, UNSENT)
    return hour


def global_best_hour(visit_hour: NDArray[np.float32], probability: NDArray[np.float32], campaign: Campaign) -> int:
    """Return the allowed local hour in which most visits are expected of all users.

    Users who never came count only if nobody else is there.
    """
    came = ~np.isnan(probability)
    weight = np.nan_to_num(probability) if came.any() else np.ones(len(came), dtype=np.float32)
    return int(np.where(allowed_hours(campaign.rules), weight @ visit_hour, -1).argmax())


def _within_capacity(
    hour: NDArray[np.int64],
    bucket: NDArray[np.int64],
    capacity: NDArray[np.int64],
    ids: NDArray[Any],
    came: Mask,
    campaign: Campaign,
) -> NDArray[np.int64]:
    """Leave out control users whose hour is full: first those who never came, then by their hash.

    None is moved: their hour is compared.
    """
    sent = np.flatnonzero(hour != UNSENT)
    place = arms.hashed(ids[sent], f"{campaign.control.salt}/capacity")
    order = sent[np.lexsort((place, ~came[sent], bucket[sent]))]
    ordered = bucket[order]
    rank = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    dropped = order[rank >= capacity[ordered]]
    hour[dropped] = UNSENT
    return hour


def idempotency_keys(ids: NDArray[Any], campaign: str, date: int) -> list[str]:
    """Return a key per send, a digest of campaign, date and user: a date that is run again gives the same keys."""
    state = blake2b(f"{campaign}\0{np.datetime64(date, 'D')}\0".encode(), digest_size=16)
    keys = []
    for user in ids.tolist():
        of_user = state.copy()
        of_user.update(user.encode())
        keys.append(of_user.hexdigest())
    return keys


def _timestamps(minutes: NDArray[np.int32]) -> Any:
    return pa.array(minutes.astype("datetime64[m]").astype("datetime64[ms]"), pa.timestamp("ms"))
