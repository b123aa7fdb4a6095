"""Which hour to push at, judged by what came of earlier sends.

Every send was made with a known probability, its propensity. So the log says what any other policy would have led to:

    V(policy) = mean[ m(x, policy(x)) + w (y - m(x, a)) ],  w = 1{a = policy(x)} / propensity(a)

x is what was known of a user on a date, a the hour of the send or none, y whether the user visited within a day of it,
m an estimate of the mean of y. This is doubly robust (Dudik, Langford and Li, Doubly Robust Policy Evaluation and
Learning, ICML 2011): since the propensities are known it is right even if m is wrong, and a good m makes the interval
narrow. Beside it stands ``sum(w y) / sum(w)``, the self-normalised inverse propensity estimate, which needs no m
(Swaminathan and Joachims, The Self-Normalized Estimator for Counterfactual Learning, NeurIPS 2015).

The policies by response are learnt from the same log, and judged by other users than those that they are learnt from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data.schema import HOURS
from visitcast.sending import arms
from visitcast.sending.realised import Interval
from visitcast.sending.response import Response, caused_visits, fit_response, visits_without
from visitcast.sending.send_log import NO_SEND, Floats, SendLog

NO_PUSH: Final = arms.NO_PUSH
BEST_HOUR: Final = arms.BEST_HOUR
ONE_HOUR: Final = "one_hour_by_response"
RANDOM_HOUR: Final = arms.RANDOM_HOUR
BY_RESPONSE: Final = "by_response"
POLICIES: Final = (BEST_HOUR, ONE_HOUR, RANDOM_HOUR, BY_RESPONSE)

FOLDS: Final = 5
"""Each fifth of the users is judged by what the others teach."""
FEWEST_SENDS: Final = 1_000
"""With fewer sends nothing is learnt."""
SMALLEST_GAIN: Final = 0.01
"""Visits that a policy must gain per send to be worth a change."""

BETTER: Final = "better"
NOT_BETTER: Final = "not better"
NOT_ENOUGH: Final = "not enough sends"

_QUANTILE: Final = NormalDist().inv_cdf(0.975)
"""For intervals of 95%."""
_QUANTILE_OF_GAIN: Final = NormalDist().inv_cdf(0.995)
"""For the interval of the gain, 99%: it is looked at every day."""
_WITH_POWER: Final = _QUANTILE_OF_GAIN + NormalDist().inv_cdf(0.8)
"""A gain of so many standard errors is found in four of five cases."""


@dataclass(frozen=True)
class Judgement:
    """What a log says of the policies.

    Intervals are by user, and of 95%; that of the gain is of 99%.

    Attributes
    ----------
    verdict : str
        ``BETTER`` if the whole interval of the gain is above 0, and the gain at least ``SMALLEST_GAIN``.
        ``NOT_BETTER`` if it is not, in a log that would show a gain of ``SMALLEST_GAIN``. Else ``NOT_ENOUGH``.
    sends : int
        Pushes in the log.
    needed : int
        Pushes of such a log that show the gain in four of five cases; if the gain is less than ``SMALLEST_GAIN``, that
        of a policy with other hours for most users.
    gain : Interval or None
        Visits per send by response, less those at the best hour; None with fewer than ``FEWEST_SENDS`` sends.
    visits : dict of str to Interval
        Visits per send of each policy, doubly robust; without a push too if the log has such rows.
    weighted : dict of str to Interval
        The same, self-normalised inverse propensity; without policies that the log never followed.
    caused : dict of str to Interval
        Visits per send of each policy, less those without a push; empty if the log has no rows without a push.
    response : Response or None
        Learnt from all users.
    """

    verdict: str
    sends: int
    needed: int
    gain: Interval | None = None
    visits: Mapping[str, Interval] = field(default_factory=dict)
    weighted: Mapping[str, Interval] = field(default_factory=dict)
    caused: Mapping[str, Interval] = field(default_factory=dict)
    response: Response | None = None


def judge(log: SendLog) -> Judgement:
    """Judge the policies by a log."""
    if log.sends < FEWEST_SENDS:
        return Judgement(NOT_ENOUGH, log.sends, FEWEST_SENDS)
    users = np.unique(log.user, return_inverse=True)[1]
    scores = {name: np.empty(log.rows) for name in (NO_PUSH, *POLICIES)}
    weights = {name: np.empty(log.rows) for name in POLICIES}
    fold = (arms.hashed(log.user, "policy/fold") * FOLDS).astype(np.int64)
    for number in np.unique(fold):
        here, others = np.flatnonzero(fold == number), log.take(np.flatnonzero(fold != number))
        judged, response = log.take(here), fit_response(others)
        without = visits_without(response, judged.visit_probability)
        caused = caused_visits(response, judged.visit_hour, judged.possible, judged.visit_probability)
        scores[NO_PUSH][here] = without_push_scores(judged, without)
        for name, shares in choices(judged, caused, fit_response(others, by_rank=False).hour).items():
            scores[name][here] = doubly_robust_scores(judged, without, caused, shares)
            weights[name][here] = policy_weights(judged, shares)
    gain = mean_by_user(scores[BY_RESPONSE] - scores[BEST_HOUR], users, _QUANTILE_OF_GAIN)
    of_other_hours = mean_by_user(scores[ONE_HOUR] - scores[BEST_HOUR], users, _QUANTILE_OF_GAIN)
    needed = sends_needed(gain, of_other_hours, log.sends)
    has_no_push = bool((log.hour == NO_SEND).any())
    return Judgement(
        verdict=verdict_of(gain, log.sends, needed),
        sends=log.sends,
        needed=needed,
        gain=gain,
        visits={name: mean_by_user(scores[name], users) for name in scores if name != NO_PUSH or has_no_push},
        weighted={name: ratio_by_user(weights[name], log.visited, users) for name in POLICIES if weights[name].any()},
        caused={name: mean_by_user(scores[name] - scores[NO_PUSH], users) for name in POLICIES if has_no_push},
        response=fit_response(log),
    )


def verdict_of(gain: Interval, sends: int, needed: int) -> str:
    """Return whether a gain is one, as :class:`Judgement` describes it."""
    if gain.value >= SMALLEST_GAIN:
        return BETTER if gain.low > 0 else NOT_ENOUGH
    return NOT_BETTER if sends >= needed else NOT_ENOUGH


def sends_needed(gain: Interval, of_other_hours: Interval, sends: int) -> int:
    """Return the sends of a log in which a gain that is worth having is found in four of five cases.

    Parameters
    ----------
    gain : Interval
        Of the policy. If it is not worth having, another one would have to differ from it.
    of_other_hours : Interval
        Gain of a policy with other hours for most users.
    sends : int
        Of the log.
    """
    wanted, judged = (gain.value, gain) if gain.value >= SMALLEST_GAIN else (SMALLEST_GAIN, of_other_hours)
    deviation = (judged.high - judged.low) / (2 * _QUANTILE_OF_GAIN)
    return int(np.ceil(sends * (_WITH_POWER * deviation / wanted) ** 2))


def choices(log: SendLog, caused: Floats, of_hour: Floats) -> dict[str, Floats]:
    """Return the probability of each hour under each policy, [rows, 24].

    Parameters
    ----------
    log : SendLog
        Users and dates to choose for.
    caused : float64 array [rows, 24]
        Estimated visits that a push in each hour causes.
    of_hour : float64 array [24]
        The same by the hour alone.
    """
    return {
        BEST_HOUR: _highest(log.visit_hour, log.possible),
        ONE_HOUR: _highest(of_hour, log.possible),
        RANDOM_HOUR: log.possible / log.possible.sum(axis=1, keepdims=True),
        BY_RESPONSE: _highest(caused, log.possible),
    }


def _highest(value: NDArray[np.floating], possible: NDArray[np.bool_]) -> Floats:
    return np.asarray(np.eye(HOURS)[np.where(possible, value, -np.inf).argmax(axis=1)])


def policy_weights(log: SendLog, shares: Floats) -> Floats:
    """Return how often a policy does what was done, over how often the log does, [rows]; 0 for rows without a push."""
    done = shares[np.arange(log.rows), np.maximum(log.hour, 0)] / log.propensity
    return np.asarray(np.where(log.hour == NO_SEND, 0.0, done))


def doubly_robust_scores(log: SendLog, without: Floats, caused: Floats, shares: Floats) -> Floats:
    """Return numbers [rows] whose mean estimates a policy's visits per send.

    Parameters
    ----------
    log : SendLog
        Sends whose outcomes the estimates do not know.
    without : float64 array [rows]
        Estimated visits without a push.
    caused : float64 array [rows, 24]
        Estimated visits that a push in each hour adds.
    shares : float64 array [rows, 24]
        Probability of each hour under the policy.
    """
    expected = without + (shares * caused).sum(axis=1)
    surprise = log.visited - without - caused[np.arange(log.rows), np.maximum(log.hour, 0)]
    return np.asarray(expected + policy_weights(log, shares) * surprise)


def without_push_scores(log: SendLog, without: Floats) -> Floats:
    """Return numbers [rows] whose mean estimates the visits without a push; arrays as above."""
    weights = np.where(log.hour == NO_SEND, 1 / log.propensity, 0.0)
    return np.asarray(without + weights * (log.visited - without))


def mean_by_user(scores: Floats, users: NDArray[np.int64], quantile: float = _QUANTILE) -> Interval:
    """Return the mean of some scores; those of one user, numbered from 0, may depend on one another."""
    value = float(scores.mean())
    return _interval(value, np.bincount(users, scores - value) / len(scores), quantile)


def ratio_by_user(weights: Floats, outcomes: Floats, users: NDArray[np.int64]) -> Interval:
    """Return the weighted mean of some outcomes, with the interval of a ratio (delta method)."""
    total = float(weights.sum())
    value = float(weights @ outcomes / total)
    return _interval(value, np.bincount(users, weights * (outcomes - value)) / total, _QUANTILE)


def _interval(value: float, of_users: Floats, quantile: float) -> Interval:
    """Return a value with the interval from the deviations that each user adds."""
    half = quantile * float(np.sqrt((of_users**2).sum() * len(of_users) / max(1, len(of_users) - 1)))
    return Interval(value, value - half, value + half)


def to_json(judgement: Judgement, *, followed: bool) -> dict[str, Any]:
    """Turn a judgement into JSON values, with whether the plan follows the response."""
    content = {name: value for name, value in asdict(judgement).items() if name != "response"}
    return {"followed": followed, **content}


def in_words(judgement: Judgement) -> list[str]:
    """Describe what the log says of the policies."""
    gain = judgement.gain
    if gain is None:
        return [f"Hours by response: {NOT_ENOUGH}, {judgement.sends:,} of {judgement.needed:,}"]
    what, found = ("visits caused", judgement.caused) if judgement.caused else ("visits", judgement.visits)
    listed = "; ".join(f"{_NAMES[name]} {_per_thousand(found[name])}" for name in POLICIES)
    said = f"{judgement.verdict}, {_per_thousand(gain)} visits per 1,000 pushes"
    if judgement.verdict == NOT_ENOUGH:
        said += f"; the log has {judgement.sends:,} pushes, and about {judgement.needed:,} are needed"
    return [f"Per 1,000 pushes, {what} within a day: {listed}", f"By response against the best hour: {said}"]


_NAMES: Final = {
    BEST_HOUR: "at the best hour",
    ONE_HOUR: "at one hour for all",
    RANDOM_HOUR: "at a random hour",
    BY_RESPONSE: "by response",
}


def _per_thousand(estimate: Interval) -> str:
    return f"{1000 * estimate.value:.0f} ({1000 * estimate.low:.0f} to {1000 * estimate.high:.0f})"
