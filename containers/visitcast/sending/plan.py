"""The send plan of a campaign and date: for every user the arm, the hour and the instant of the push."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from visitcast.data import schema
from visitcast.data.schema import HOURS
from visitcast.forecasting.correction import NO_CORRECTION, Correction, corrected
from visitcast.sending import arms
from visitcast.sending.answers import Forecasts
from visitcast.sending.audience import minutes_of
from visitcast.sending.capacity import SAMPLE_USERS, UNSENT, spread
from visitcast.sending.pushes import Pushes, at_caps, too_near
from visitcast.sending.response import Response, caused_visits
from visitcast.sending.send_times import NEVER, LocalHours, local_hours
from visitcast.sending.send_window import allowed_hours, barred_date, sendable
from visitcast.sending.settings import Campaign

Mask = NDArray[np.bool_]
Hours = NDArray[np.int64]

DEVIATIONS: Final = 3
"""An hour has so many standard deviations of room for the chance that more users than expected are in the arms that
want it: one hour in a thousand takes more than its share, and few more."""

_LEAST_WORTH: Final = 1e-6
"""Of a push that causes no visit: more than none, so that it is sent where there is room."""


@dataclass(frozen=True)
class Plan:
    """Pushes of a date.

    Attributes
    ----------
    table : pyarrow.Table
        One row per user who may get a push, in the order of sending: ``user_id``, ``arm``, ``send_hour`` (local),
        ``send_at_utc``, ``send_at_local``, ``chance``, ``source``, ``idempotency_key``, ``visit_probability``,
        ``propensity``, ``possible_hours``, ``withheld``, ``salt``. The chance is that the user comes and visits in the
        hour of the send; it and the probability that the user comes are null for users who never came.
    barred : int
        Users without a possible hour: dates and weekdays, quiet hours, window, gap or caps, or the day is over there.
    no_room : int
        Users left out because every allowed hour is full.
    moved : int
        Users in the arm ``best_hour`` whose push is not at their best possible hour because of the capacity.
    loss : float
        Share of the expected visits that the capacity costs, against every user's own best possible hour, with users
        who are left out. Counts all users who ever came, as if all were in the arm ``best_hour``.
    """

    table: pa.Table
    barred: int
    no_room: int
    moved: int
    loss: float


def plan_sends(
    users: pa.Table,
    forecasts: Forecasts,
    pushes: Pushes,
    date: int,
    campaign: Campaign,
    correction: Correction = NO_CORRECTION,
    chance_correction: Correction | None = None,
    response: Response | None = None,
    as_of: int | None = None,
    sample_users: int = SAMPLE_USERS,
) -> Plan:
    """Plan the sends of a date.

    First everybody gets an hour as if all were in the arm ``best_hour``, within the capacity that the other arms leave.
    Then the arms decide: who is in one of them gets its hour instead, or no push. So neither who has a row nor a
    user's best hour depends on the arms, and the probability of an hour over all their assignments is known. Where the
    capacity does not suffice, users who never came are left out first.

    Parameters
    ----------
    users : pyarrow.Table
        The user list, in the order of `forecasts`.
    forecasts : Forecasts
        Of that date.
    pushes : Pushes
        Pushes of all campaigns to these users, without those of this campaign on this date.
    date : int
        Days since 1970-01-01.
    campaign : Campaign
        Rules, capacity and control group.
    correction : Correction
        Of the probability of coming, see :mod:`visitcast.sending.realised`.
    chance_correction : Correction, optional
        Of the chance of a visit in the hour of the send, as the forecasts have it. Default: only the probability of
        coming is corrected.
    response : Response, optional
        By which the best hour is the one in which a push causes most visits. Default: the one with the highest chance
        of a visit.
    as_of : int, optional
        Instant of the run, minutes since 1970-01-01T00:00Z: no push is planned for an earlier one. Default: all
        instants of the date are possible.
    sample_users : int
        As in :func:`visitcast.sending.capacity.spread`.
    """
    ids = users[schema.USER_ID].to_numpy()
    offsets: Any = users[schema.UTC_OFFSET_MINUTES].to_numpy()
    given, inferred = (
        users[name].to_pandas().to_numpy(dtype=object) for name in (schema.TIME_ZONE, schema.INFERRED_TIME_ZONE)
    )
    hours = local_hours(date, offsets, given, inferred)
    possible = _possible(users, hours, pushes, date, campaign, as_of)
    probability = corrected(forecasts.visit_probability, correction).astype(np.float32)
    one_for_all = _one_for_all(forecasts.visit_hour, probability, possible, campaign)
    at_fallback = forecasts.source == schema.PRIOR if campaign.fallback_hour is not None else np.zeros(len(ids), bool)

    def worth(rows: Hours) -> NDArray[Any]:
        """Return what a push is worth to some users in each hour, > 0."""
        comes, chances = np.nan_to_num(probability[rows]), forecasts.visit_hour[rows]
        if response is not None:
            found = np.maximum(caused_visits(response, chances, possible[rows], comes), _LEAST_WORTH)
        else:
            # Nobody knows whether a user who never came will come: the hour alone decides.
            found = chances * np.where(np.isnan(probability[rows]), np.float32(1), comes)[:, None]
        if campaign.fallback_hour is not None:
            falling = at_fallback[rows]
            found[falling] = found[falling].max(axis=1, keepdims=True) * _nearness(campaign.fallback_hour)
        return found

    came = ~np.isnan(probability)
    best, loss = _best_hours(worth, came, hours, possible, one_for_all, campaign, sample_users)
    # Whoever has no hour in one arm has none in any, so that the arms stay alike.
    sent = np.flatnonzero(best != UNSENT)
    arm = arms.arm_codes(ids[sent], campaign.control)
    day = str(np.datetime64(date, "D"))
    drawn = arm == arms.ARMS.index(arms.RANDOM_HOUR)
    hour = np.where(arm == arms.ARMS.index(arms.GLOBAL_BEST_HOUR), one_for_all[sent], best[sent])
    hour[drawn] = arms.random_hours(ids[sent[drawn]], campaign.control, day, possible[sent[drawn]])
    propensity = arms.propensities(campaign.control, arm, hour, best[sent], one_for_all[sent], possible[sent])
    withheld = np.full(len(sent), None, dtype=object)
    withheld[arm == arms.ARMS.index(arms.NO_PUSH)] = arms.NO_PUSH
    withheld[pushes.opted_out[sent]] = schema.OPTED_OUT
    visited = forecasts.visit_hour[sent, hour]
    # The choice of the hour goes without this correction, which is one of hours that were chosen.
    chance = (
        probability[sent] * visited
        if chance_correction is None
        else corrected(forecasts.visit_probability[sent] * visited, chance_correction)
    )
    utc, local = hours.utc[hours.clock[sent], hour], hours.local[hours.clock[sent], hour]
    first_choice = np.where(possible[sent], worth(sent), -1).argmax(axis=1)
    columns: dict[str, Any] = {
        schema.USER_ID: users[schema.USER_ID].take(pa.array(sent, pa.int64())),
        schema.ARM: pa.array(np.array(arms.ARMS)[arm], pa.string()),
        schema.SEND_HOUR: pa.array(hour.astype(np.int8)),
        schema.SEND_AT_UTC: _timestamps(utc),
        schema.SEND_AT_LOCAL: _timestamps(local),
        schema.CHANCE: pa.array(chance.astype(np.float32), from_pandas=True),
        schema.SOURCE: pa.array(forecasts.source[sent], pa.string()),
        schema.IDEMPOTENCY_KEY: pa.array(idempotency_keys(ids[sent], campaign.name, date), pa.string()),
        schema.VISIT_PROBABILITY: pa.array(probability[sent], from_pandas=True),
        schema.PROPENSITY: pa.array(propensity),
        schema.POSSIBLE_HOURS: pa.array(masks(possible[sent])),
        schema.WITHHELD: pa.array(withheld, pa.string()),
        schema.SALT: pa.array(np.full(len(sent), campaign.control.salt, dtype=object), pa.string()),
    }
    barred = int((~possible.any(axis=1)).sum())
    return Plan(
        table=pa.table(columns).sort_by([(schema.SEND_AT_UTC, "ascending"), (schema.USER_ID, "ascending")]),
        barred=barred,
        no_room=len(ids) - len(sent) - barred,
        moved=int(((arm == arms.ARMS.index(arms.BEST_HOUR)) & (hour != first_choice)).sum()),
        loss=loss,
    )


def _possible(
    users: pa.Table, hours: LocalHours, pushes: Pushes, date: int, campaign: Campaign, as_of: int | None
) -> Mask:
    """Return the hours in which each user may get a push of this campaign, bool [users, 24]."""
    rules = campaign.rules
    if barred_date(rules, date):
        return np.zeros((users.num_rows, HOURS), dtype=bool)
    last_push: Any = minutes_of(pd.Series(users[schema.LAST_PUSH_AT].to_pandas()))
    earliest = (last_push + rules.minimum_gap_minutes).astype(np.int32)
    if as_of is not None:
        earliest = np.maximum(earliest, np.int32(as_of))
    possible = sendable(hours, allowed_hours(rules), earliest)
    possible &= ~too_near(pushes, hours, rules.minimum_gap_minutes)
    possible &= ~at_caps(pushes, users.num_rows, date, rules)[:, None]
    return possible


def _best_hours(
    worth: Callable[[Hours], NDArray[Any]],
    came: Mask,
    hours: LocalHours,
    possible: Mask,
    one_for_all: Hours,
    campaign: Campaign,
    sample_users: int,
) -> tuple[Hours, float]:
    """Return the best hour of each user within the capacity, and the share of the expected visits that this costs.

    ``UNSENT`` for users without an hour. Nothing here depends on the users' arms.
    """
    # The sender's capacity is per hour of UTC: it does not know local time.
    bucket = hours.utc.astype(np.int64) // 60
    # An hour that never comes is not possible, so its bucket does not matter.
    bucket = np.where(hours.utc == NEVER, 0, bucket - bucket.min())
    most = max(1, int(campaign.largest_hour_share * len(came)))
    capacity = capacity_for_best(most, _of_control(bucket, hours.clock, possible, one_for_all, campaign), campaign)
    hour = np.full(len(came), UNSENT, dtype=np.int64)

    def fill(rows: Hours) -> float:
        assignment = spread(worth(rows), bucket, hours.clock[rows], possible[rows], capacity, sample_users)
        hour[rows] = assignment.hour
        sent = assignment.hour != UNSENT
        np.subtract.at(capacity, bucket[hours.clock[rows][sent], assignment.hour[sent]], 1)
        return 0.0 if assignment.wanted <= 0 else max(0.0, 1 - assignment.value / assignment.wanted)

    loss = fill(np.flatnonzero(came))
    # Users who never came get what is left.
    fill(np.flatnonzero(~came))
    return hour, loss


def _nearness(fallback_hour: int) -> NDArray[np.float32]:
    """Return factors that rank the hours by their distance to the fallback hour, the later of two first, [24]."""
    apart = np.arange(HOURS) - fallback_hour
    return np.asarray(1 - (np.abs(apart) - 0.25 * (apart > 0)) / (2 * HOURS), dtype=np.float32)


def _of_control(
    bucket: Hours, clock: Hours, possible: Mask, one_for_all: Hours, campaign: Campaign
) -> NDArray[np.float64]:
    """Return how many pushes of the control arms each bucket has to expect, [buckets]."""
    expected = np.zeros(int(bucket.max(initial=0)) + 1)
    able = np.flatnonzero(one_for_all != UNSENT)
    at_one = bucket[clock[able], one_for_all[able]]
    expected += campaign.control.global_best_hour_share * np.bincount(at_one, minlength=len(expected))
    for hour in range(HOURS):
        rows = np.flatnonzero(possible[:, hour])
        share = campaign.control.random_hour_share / possible[rows].sum(axis=1)
        expected += np.bincount(bucket[clock[rows], hour], share, len(expected))
    return expected


def capacity_for_best(most: int, of_control: NDArray[np.float64], campaign: Campaign) -> Hours:
    """Return how many users may have their best hour in each bucket, so that its pushes stay below `most`.

    Of L users with their best hour in a bucket a share p is in the arm ``best_hour``. With R pushes of the control arms
    the bucket expects L p + R pushes, with a variance of at most L p (1 - p) + R. L is the largest number with which
    the expectation and ``DEVIATIONS`` standard deviations are at most `most`.
    """
    share = campaign.control.best_hour_share
    room = np.maximum(most - of_control, 0.0)
    if share == 0:  # nobody gets a push at the best hour
        return np.full(len(of_control), most, dtype=np.int64)
    rest = 1 - share
    if rest == 0:
        return room.astype(np.int64)
    # With y the standard deviation: (y^2 - R) / rest + DEVIATIONS y = room.
    half = DEVIATIONS * rest / 2
    deviation = np.sqrt(half**2 + of_control + rest * room) - half
    return (np.maximum(deviation**2 - of_control, 0.0) / rest / share + 1e-9).astype(np.int64)


def _one_for_all(
    visit_hour: NDArray[np.float32], probability: NDArray[np.float32], possible: Mask, campaign: Campaign
) -> Hours:
    """Return for each user the possible hour in which most visits are expected of all; ``UNSENT`` if there is none."""
    worth = expected_by_hour(visit_hour, probability, campaign)
    hour = np.full(len(visit_hour), worth.argmax(), dtype=np.int64)
    others = np.flatnonzero(~possible[:, worth.argmax()])
    hour[others] = np.where(possible[others], worth, -1).argmax(axis=1)
    hour[~possible.any(axis=1)] = UNSENT
    return hour


def expected_by_hour(
    visit_hour: NDArray[np.float32], probability: NDArray[np.float32], campaign: Campaign
) -> NDArray[np.float32]:
    """Return the visits that are expected of all users in each local hour, -1 where no push is allowed, [24].

    Users who never came count only if nobody else is there.
    """
    came = ~np.isnan(probability)
    weight = np.nan_to_num(probability) if came.any() else np.ones(len(came), dtype=np.float32)
    return np.where(allowed_hours(campaign.rules), weight @ visit_hour, np.float32(-1))


def masks(possible: Mask) -> NDArray[np.int32]:
    """Return each user's possible hours as a number, bit h for hour h, [users]."""
    bits = np.packbits(possible, axis=1, bitorder="little").astype(np.int32)
    return bits[:, 0] | bits[:, 1] << 8 | bits[:, 2] << 16


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
