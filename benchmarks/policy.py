"""Learning the hour of a push from the log of sends, in worlds where the visits that a push causes are known.

Each log holds sends at a random hour, one or more to each user, or those of a campaign that sends a twentieth of its
pushes at a random hour. From it the response is learnt and the policies are judged, as the plan does it. Beside the
figures stands the truth: the visits that the learnt hours cause.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks import simulated
from benchmarks.pipeline import Figure
from benchmarks.response_worlds import ALLOWED, EVENINGS, HABITS, PERSONAL, ResponseWorld, make_world
from demo.simulator import World
from visitcast.data.dataset import Dataset, with_target_days
from visitcast.data.schema import HOURS
from visitcast.features.histograms import last_histograms
from visitcast.model import visit_probability
from visitcast.model.baselines import tuned_histogram
from visitcast.sending import policy
from visitcast.sending.response import Response, caused_visits, fit_response, visits_without
from visitcast.sending.send_log import Floats, SendLog

USERS: Final = 6_000


class Size(NamedTuple):
    """Size of a log, and how many of them are drawn."""

    title: str
    dates: int
    random_share: float
    logs: int


SIZES: Final = (
    Size("one random send a user", 1, 1.0, 20),
    Size("five random sends a user", 5, 1.0, 10),
    Size("20 dates, 5% at a random hour", 20, 0.05, 10),
)
COVERAGE_LOGS: Final = 400
TARGETS: Final = {EVENINGS: ">= 1.6", HABITS: ">= 0.97", PERSONAL: ""}
"""Visits caused by the hours that are learnt from one random send a user, over those caused at the best hour."""


def measure(quick: bool = False) -> list[Figure]:
    """Judge the policies in each world."""
    users = simulated_users(600 if quick else USERS)
    sizes = [Size("three random sends a user", 3, 1.0, 2)] if quick else SIZES
    figures: list[Figure] = []
    for name in (PERSONAL, EVENINGS, HABITS):
        world = make_world(name, *users)
        for size in sizes:
            figures += of_world(name, world, size)
    return [*figures, *coverage(make_world(EVENINGS, *users), 20 if quick else COVERAGE_LOGS)]


@cache
def simulated_users(users: int, days: int = 90) -> tuple[NDArray[np.float32], Floats]:
    """Return the habits [users, 24] and the probability of coming [users] of simulated users, from their visit days."""
    dataset = simulated.visit_days(World(users=users, days=days))
    return habits_of(dataset)


def habits_of(dataset: Dataset) -> tuple[NDArray[np.float32], Floats]:
    """Forecast every user's day after the last one of all, by the histogram and the user's own rate."""
    day = int(dataset.visit_date.max()) + 1
    known = with_target_days(dataset, np.full(dataset.users, day, dtype=np.int32))
    rows = known.offsets[1:] - 1
    parameters = tuned_histogram.Parameters(prior=[[1 / HOURS] * HOURS] * 2, visit_prior=[0.1] * HOURS)
    rate = visit_probability.Parameters(0.2, (visit_probability.Weights(),) * 2)
    comes = visit_probability.predict(rate, known, rows, np.full(len(rows), day - 1), np.zeros(len(rows)))
    return tuned_histogram.visit_hours(parameters, last_histograms(known)), comes.astype(np.float64)


def of_world(name: str, world: ResponseWorld, size: Size) -> Iterator[Figure]:
    """Yield the figures of some logs of one size: means over the logs."""
    judged, truths = [], []
    for number in range(size.logs):
        log = world.log(np.random.default_rng([11, number]), size.dates, size.random_share)
        judged.append(policy.judge(log))
        truths.append(true_values(world, fit_response(log), fit_response(log, by_rank=False)))
    subject = f"{name[:1]}, {size.title}"
    for chosen in policy.POLICIES:
        unit = "caused visits per 1,000 pushes"
        yield Figure(subject, f"{chosen}: truth", 1000 * float(np.mean([truth[chosen] for truth in truths])), unit)
        values = [one.caused[chosen].value for one in judged if one.caused]
        if values:
            yield Figure(subject, f"{chosen}: estimate", 1000 * float(np.mean(values)), unit)
            yield Figure(subject, f"{chosen}: deviation of an estimate", 1000 * float(np.std(values)), unit)
    best = truths[0][policy.BEST_HOUR]
    target = TARGETS[name] if size.title == SIZES[0].title else ""
    learnt = float(np.mean([truth[policy.BY_RESPONSE] for truth in truths]))
    yield Figure(subject, "by_response / best_hour", learnt / best, "", target)
    kept = [
        truth[policy.BY_RESPONSE if one.verdict == policy.BETTER else policy.BEST_HOUR]
        for truth, one in zip(truths, judged, strict=True)
    ]
    yield Figure(subject, "policy that the log decides on / best_hour", float(np.mean(kept)) / best, "")
    verdicts = Counter(one.verdict for one in judged)
    for verdict in (policy.BETTER, policy.NOT_BETTER, policy.NOT_ENOUGH):
        yield Figure(subject, f"says: {verdict}", verdicts[verdict] / size.logs, "of the logs")
    yield Figure(subject, "pushes in the log", float(np.mean([one.sends for one in judged])), "")
    needed = [one.needed for one in judged if one.verdict == policy.NOT_ENOUGH]
    if needed:
        yield Figure(subject, "pushes that it says are needed, median", float(np.median(needed)), "")


def true_values(world: ResponseWorld, response: Response, by_hour: Response) -> dict[str, float]:
    """Return the visits per push that each policy causes."""
    log = every_user(world)
    caused = caused_visits(response, log.visit_hour, log.possible, log.visit_probability)
    chosen = policy.choices(log, caused, by_hour.hour)
    return {name: float((shares * world.caused).sum(axis=1).mean()) for name, shares in chosen.items()}


def every_user(world: ResponseWorld) -> SendLog:
    """Return a row for each user, to choose hours for."""
    users = len(world.comes)
    zeros: Floats = np.zeros(users)
    hour: NDArray[np.int64] = np.full(users, 12)
    possible = np.broadcast_to(ALLOWED, (users, HOURS))
    return SendLog(np.arange(users).astype(str), hour, zeros + 1, possible, world.visit_hour, world.comes, zeros)


def coverage(world: ResponseWorld, logs: int) -> Iterator[Figure]:
    """Yield how often the intervals of fixed policies hold the truth, of logs that the estimates are not fitted to."""
    response = fit_response(world.log(np.random.default_rng(1), 1))
    everyone = every_user(world)
    caused = caused_visits(response, everyone.visit_hour, everyone.possible, everyone.visit_probability)
    without = visits_without(response, everyone.visit_probability)
    chosen = policy.choices(everyone, caused, response.hour)
    for share in (1.0, 0.05):
        dates = 1 if share == 1 else 5
        held: dict[str, list[bool]] = {}
        for number in range(logs):
            rng = np.random.default_rng([2, number])
            # Other users each time, as the interval means it.
            drawn = rng.integers(0, len(world.comes), len(world.comes))
            log = ResponseWorld(world.visit_hour[drawn], world.comes[drawn], world.free[drawn]).log(rng, dates, share)
            user = np.tile(np.arange(len(drawn)), dates)
            known = drawn[user]
            for name, shares in chosen.items():
                truth = float((world.comes + (shares * world.caused).sum(axis=1)).mean())
                scores = policy.doubly_robust_scores(log, without[known], caused[known], shares[known])
                ratio = policy.ratio_by_user(policy.policy_weights(log, shares[known]), log.visited, user)
                for kind, found in (("doubly robust", policy.mean_by_user(scores, user)), ("weighted", ratio)):
                    held.setdefault(f"{name}, {kind}", []).append(found.low <= truth <= found.high)
        for name, hits in held.items():
            subject = f"B, {dates} sends a user, {share:.0%} at a random hour"
            yield Figure(subject, f"{name}: coverage of the 95% interval", float(np.mean(hits)), "", "0.93 to 0.97")
