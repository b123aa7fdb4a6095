"""The network's forward pass in NumPy.

Serving and evaluation need no gradients, and TensorFlow takes seconds and hundreds of megabytes just to import.
A test holds this pass against Keras'.

Sequences of different lengths are packed, longest first: step t of all that are that long lies in one block. So nothing
is padded, and no step works on what nobody asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visitcast.forecasting.hour_head import hour_scores
from visitcast.forecasting.sequences import Pieces, cut
from visitcast.histogram_features import HOUR_COLUMNS

SEQUENCES_AT_ONCE = 256
"""The working set of a step fits into a core's second-level cache."""

Weights = dict[str, NDArray[np.float32]]
"""``layer/variable`` and its array, as :func:`training.network.weight_names` spells them."""
Float = NDArray[np.float32]
ReadVisits = Callable[[NDArray[np.int64]], Float]
"""Gives the history features [rows, F] of rows."""


def states(
    weights: Weights, read_visits: ReadVisits, offsets: NDArray[np.int64], wanted_rows: NDArray[np.int64]
) -> Float:
    """Run the GRU over the visits before some rows.

    Parameters
    ----------
    weights : dict
        Arrays of the network.
    read_visits : callable
        Gives history features by row.
    offsets : int64 array [U + 1]
        Rows ``offsets[u]:offsets[u + 1]`` belong to user ``u``, in date order.
    wanted_rows : int64 array [rows]
        Rows to forecast, none of them a user's first.

    Returns
    -------
    float32 array [rows, units]
        State before each wanted row.
    """
    wanted = np.zeros(offsets[-1], dtype=bool)
    wanted[wanted_rows] = True
    place = np.zeros(len(wanted), dtype=np.int64)
    place[wanted_rows] = np.arange(len(wanted_rows))
    gates = _gates(weights)
    out = np.empty((len(wanted_rows), gates.units), dtype=np.float32)
    for packed in _pack(cut(offsets, wanted)):
        state = _gru(gates, read_visits(packed.rows - 1), packed.active)
        counts = packed.counts & wanted[packed.rows]
        out[place[packed.rows[counts]]] = state[counts]
    return out


@dataclass(frozen=True, slots=True)
class _Packed:
    """Some sequences, step by step.

    Attributes
    ----------
    active : int64 array [T]
        Sequences that have a step t; never rising.
    rows : int64 array [active.sum()]
        Target row of each step.
    counts : bool array [active.sum()]
        False where the step only warms the state up.
    """

    active: NDArray[np.int64]
    rows: NDArray[np.int64]
    counts: NDArray[np.bool_]


def _pack(pieces: Pieces) -> Iterator[_Packed]:
    longest_first = np.argsort(-pieces.length, kind="stable")
    for begin in range(0, len(longest_first), SEQUENCES_AT_ONCE):
        members = longest_first[begin : begin + SEQUENCES_AT_ONCE]
        step = np.arange(pieces.length[members[0]])[:, None]
        exists = step < pieces.length[members]
        rows = (pieces.start[members] + step)[exists]
        counts = (pieces.start[members] + step >= pieces.first_target[members])[exists]
        yield _Packed(exists.sum(axis=1), rows, counts)


@dataclass(frozen=True, slots=True)
class _Gates:
    """The GRU's weights, laid out and scaled so that a step takes few passes.

    The update and reset gates are ``(1 + tanh(x / 2)) / 2``: their weights are halved here. The reset gate multiplies
    the recurrent part of the candidate, so that part takes the gate's own half too.
    """

    kernel: Float
    bias: Float
    recurrent_gates: Float
    recurrent_candidate: Float
    recurrent_candidate_bias: Float

    @property
    def units(self) -> int:
        return len(self.recurrent_gates)


def _gates(weights: Weights) -> _Gates:
    kernel, recurrent = weights["gru/kernel"], weights["gru/recurrent_kernel"]
    input_bias, recurrent_bias = weights["gru/bias"]
    units = len(recurrent)
    half = np.where(np.arange(3 * units) < 2 * units, np.float32(0.5), np.float32(1))
    bias = np.concatenate([input_bias[: 2 * units] + recurrent_bias[: 2 * units], input_bias[2 * units :]])
    return _Gates(
        kernel=kernel * half,
        bias=bias * half,
        recurrent_gates=np.ascontiguousarray(recurrent[:, : 2 * units] * np.float32(0.5)),
        recurrent_candidate=np.ascontiguousarray(recurrent[:, 2 * units :] * np.float32(0.5)),
        recurrent_candidate_bias=recurrent_bias[2 * units :] * np.float32(0.5),
    )


def _gru(gates: _Gates, visit: Float, active: NDArray[np.int64]) -> Float:
    """Run Keras' GRU (``reset_after=True``; Cho et al. 2014, arXiv:1406.1078v1) over packed visits.

    Visits float32 [active.sum(), F] give states [active.sum(), units] in the same order.
    """
    units = gates.units
    # One large product for all steps; only the recurrent product has to wait for the step before.
    inputs = visit @ gates.kernel
    inputs += gates.bias
    states = np.empty((len(visit), units), dtype=np.float32)
    before = np.zeros((active.max(initial=0), units), dtype=np.float32)
    begin = 0
    for sequences in active.tolist():
        here = slice(begin, begin + sequences)
        before = before[:sequences]
        both = before @ gates.recurrent_gates
        both += inputs[here, : 2 * units]
        np.tanh(both, out=both)
        update, reset = both[:, :units], both[:, units:]
        candidate = before @ gates.recurrent_candidate
        candidate += gates.recurrent_candidate_bias
        reset += 1
        candidate *= reset
        candidate += inputs[here, 2 * units :]
        np.tanh(candidate, out=candidate)
        # update * before + (1 - update) * candidate
        update += 1
        update *= np.float32(0.5)
        after = np.subtract(before, candidate, out=states[here])
        after *= update
        after += candidate
        before = after
        begin += sequences
    return states


def heads(weights: Weights, state: Float, target: Float, log_prior: Float) -> tuple[Float, Float]:
    """Run the layers behind the GRU.

    Parameters
    ----------
    weights : dict
        Arrays of the network.
    state : float32 array [rows, units]
        State before the day to forecast.
    target : float32 array [rows, G]
        Features of the day to forecast.
    log_prior : float32 array [rows, 24]
        Log of the histogram's forecast.

    Returns
    -------
    first_hour, visited : float32 arrays [rows, 24]
        Logits.
    """
    joined = np.concatenate([state, target], axis=1)
    hidden = np.maximum(joined @ weights["hidden/kernel"] + weights["hidden/bias"], 0)
    first_scores, visited_scores = hour_scores(weights, hidden, target[:, HOUR_COLUMNS])
    first_hour = hidden @ weights["first_hour/kernel"] + weights["first_hour/bias"] + log_prior + first_scores
    visited = hidden @ weights["visited/kernel"] + weights["visited/bias"] + visited_scores
    return first_hour, visited


def sigmoid(x: Float) -> Float:
    """Logistic function; ``tanh`` does not overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)), dtype=np.float32)


def softmax(logits: Float) -> Float:
    """Probabilities over the last axis."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True), dtype=np.float32)
