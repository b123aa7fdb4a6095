"""How many visits a push causes, by its local hour and by the rank of that hour among the user's habits.

The mean of "visits within a day" is linear in what is known of a user and a send:

    y = a + b P + (1 - P) (c + hour[h] + rank[r]) + noise

P is the forecast probability that the user comes, since a push causes no visit of a user who comes anyway; r is the
rank of the hour among the user's possible hours by the forecast chance of a visit. The effects of hours are shrunk
towards one another, and those of ranks towards a line in log(1 + rank), by a ridge; its two strengths maximise the
evidence (MacKay, Bayesian Interpolation, Neural Computation 1992).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visitcast.data.schema import HOURS
from visitcast.sending.send_log import NO_SEND, Floats, SendLog

PRIOR_DEVIATIONS: Final = (0.001, 0.003, 0.01, 0.03, 0.1)
"""Standard deviations of the effects of hours, and of ranks, among which the evidence chooses, in visits."""
_WIDE: Final = 10.0
"""Prior standard deviation of the other numbers."""
_RANKS_FROM: Final = (0, 1, 2, 3, 5, 7, 10)
"""First rank of each group of ranks."""
_GROUP_OF_RANK: Final = np.searchsorted(_RANKS_FROM, np.arange(HOURS), side="right") - 1
_LINE: Final = np.log1p(_RANKS_FROM)
_SHARED: Final = 4
"""Numbers before those of the hours: a, b, c and the slope of the line of ranks."""
_WIDTH: Final = _SHARED + HOURS + len(_RANKS_FROM)
_ROWS_AT_ONCE: Final = 200_000


@dataclass(frozen=True)
class Response:
    """The fitted numbers of the module's formula.

    Attributes
    ----------
    base, of_probability, push : float
        a, b and c.
    hour : float64 array [24]
        Effect of each local hour.
    rank : float64 array [groups of ranks]
        Effect of each group of ranks.
    """

    base: float
    of_probability: float
    push: float
    hour: Floats
    rank: Floats


def caused_visits(
    response: Response, visit_hour: NDArray[Any], possible: NDArray[np.bool_], visit_probability: NDArray[Any]
) -> Floats:
    """Estimate the visits that a push in each hour causes, [rows, 24]; impossible hours are the last ranks."""
    order = np.argsort(np.where(possible, -visit_hour, np.inf), axis=1, kind="stable")
    caused = np.empty(order.shape)
    np.put_along_axis(caused, order, np.broadcast_to(response.rank[_GROUP_OF_RANK], order.shape), axis=1)
    caused += response.push + response.hour
    caused *= (1 - visit_probability)[:, None]
    return caused


def _group_of_hour(visit_hour: NDArray[Any], possible: NDArray[np.bool_], hour: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the group of one hour's rank in each row, as in `caused_visits`: the first of several alike leads."""
    chance = visit_hour[np.arange(len(hour)), hour][:, None]
    before = (visit_hour > chance) | ((visit_hour == chance) & (np.arange(HOURS) < hour[:, None]))
    return np.asarray(_GROUP_OF_RANK[(before & possible).sum(axis=1)])


def visits_without(response: Response, visit_probability: Floats) -> Floats:
    """Estimate the visits within a day without a push, [rows]."""
    return np.asarray(response.base + response.of_probability * visit_probability)


def fit_response(log: SendLog, by_rank: bool = True) -> Response:
    """Fit the numbers to a log.

    Rows count as if every possible hour had been as likely: otherwise the hours that most users were sent at would
    decide on all the others.

    Parameters
    ----------
    log : SendLog
        Sends and their outcomes.
    by_rank : bool
        Whether the rank of the hour counts, beside the hour.
    """
    products, answers, squares = np.zeros((_WIDTH, _WIDTH)), np.zeros(_WIDTH), 0.0
    weights = _weights(log)
    for start in range(0, log.rows, _ROWS_AT_ONCE):
        block = slice(start, start + _ROWS_AT_ONCE)
        inputs = _inputs(log, block, by_rank)
        weighted = inputs * weights[block, None]
        products += weighted.T @ inputs
        answers += weighted.T @ log.visited[block]
        squares += float(weights[block] @ log.visited[block] ** 2)
    return _of_numbers(_ridge(products, answers, squares, float(weights.sum())))


def _weights(log: SendLog) -> Floats:
    """Weigh each row by equal propensities over its own; the sum is the number of rows that tell as much."""
    sent = log.hour != NO_SEND
    weights = np.where(sent, 1 / (log.possible.sum(axis=1) * log.propensity), 1.0)
    for rows in (sent, ~sent):
        weights[rows] *= weights[rows].sum() / max((weights[rows] ** 2).sum(), 1e-300)
    return weights


def _inputs(log: SendLog, block: slice, by_rank: bool) -> Floats:
    hour, probability = log.hour[block], log.visit_probability[block]
    sent = np.flatnonzero(hour != NO_SEND)
    absent = 1 - probability[sent]
    inputs = np.zeros((len(hour), _WIDTH))
    inputs[:, 0], inputs[:, 1] = 1.0, probability
    inputs[sent, 2] = absent
    inputs[sent, _SHARED + hour[sent]] = absent
    if by_rank:
        group = _group_of_hour(log.visit_hour[block][sent], log.possible[block][sent], hour[sent])
        inputs[sent, 3] = absent * _LINE[group]
        inputs[sent, _SHARED + HOURS + group] = absent
    return inputs


def _ridge(products: Floats, answers: Floats, squares: float, rows: float) -> Floats:
    """Return the numbers of highest posterior density under the prior of highest evidence."""
    found = {}
    for of_hours, of_ranks in product(PRIOR_DEVIATIONS, PRIOR_DEVIATIONS):
        precision = np.repeat([_WIDE**-2, of_hours**-2, of_ranks**-2], [_SHARED, HOURS, len(_RANKS_FROM)])
        noise = float(squares / max(rows, 1.0))
        for _ in range(3):
            numbers = np.linalg.solve(products + noise * np.diag(precision), answers)
            left = float(squares - 2 * numbers @ answers + numbers @ products @ numbers)
            noise = max(1e-9, left / max(rows, 1.0))
        _, spread = np.linalg.slogdet(np.eye(_WIDTH) + products / precision / noise)
        evidence = (numbers @ answers - squares) / noise - spread - rows * np.log(noise)
        found[float(evidence)] = numbers
    return np.asarray(found[max(found)], dtype=np.float64)


def _of_numbers(numbers: Floats) -> Response:
    base, of_probability, push, slope = numbers[:_SHARED].tolist()
    rank = numbers[_SHARED + HOURS :] + slope * _LINE
    return Response(base, of_probability, push, numbers[_SHARED : _SHARED + HOURS], rank)
