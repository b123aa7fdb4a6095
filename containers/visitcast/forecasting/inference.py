"""The network's forward pass in NumPy.

Serving and evaluation need no gradients, and TensorFlow takes seconds and hundreds of megabytes just to import.
A test holds this pass against Keras'.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visitcast.forecasting.rows import Rows
from visitcast.forecasting.sequences import batches, cut
from visitcast.schema import HOURS

BATCH_VISIT_DAYS = 16_384
"""Steps of one pass; bounds the memory."""

Weights = dict[str, NDArray[np.float32]]
Float = NDArray[np.float32]


def logits(weights: Weights, rows: Rows, wanted_rows: NDArray[np.int64]) -> tuple[Float, Float]:
    """Forecast some rows.

    Parameters
    ----------
    weights : dict
        Arrays of :func:`training.network.weight_names`.
    rows : Rows
        Visit days.
    wanted_rows : int64 array [rows]
        Rows to forecast, none of them a user's first.

    Returns
    -------
    first_hour, visited : float32 arrays [rows, 24]
        Logits, in the order of ``wanted_rows``.
    """
    wanted = np.zeros(len(rows.first_hour), dtype=bool)
    wanted[wanted_rows] = True
    place = np.zeros(len(wanted), dtype=np.int64)
    place[wanted_rows] = np.arange(len(wanted_rows))
    first_hour = np.empty((len(wanted_rows), HOURS), dtype=np.float32)
    visited = np.empty_like(first_hour)
    for batch in batches(cut(rows.offsets, wanted), wanted, BATCH_VISIT_DAYS):
        state = gru(weights, rows.visit[batch.rows - 1])[batch.wanted]
        row = batch.rows[batch.wanted]
        first_hour[place[row]], visited[place[row]] = heads(weights, state, rows.target[row], rows.log_prior[row])
    return first_hour, visited


def gru(weights: Weights, visit: Float) -> Float:
    """Run Keras' GRU (``reset_after=True``) over sequences.

    Parameters
    ----------
    weights : dict
        Arrays of :func:`training.network.weight_names`.
    visit : float32 array [B, T, F]
        Visit features.

    Returns
    -------
    float32 array [B, T, units]
        State after each visit.

    References
    ----------
    Cho et al. 2014, arXiv:1406.1078v1; gates in Keras' order update, reset, candidate.
    """
    kernel, recurrent = weights["gru/kernel"], weights["gru/recurrent_kernel"]
    input_bias, recurrent_bias = weights["gru/bias"]
    units = recurrent.shape[0]
    # One large product for all steps; only the recurrent product has to wait for the step before.
    inputs = np.ascontiguousarray(np.swapaxes(visit @ kernel + input_bias, 0, 1))
    states = np.empty((visit.shape[1], visit.shape[0], units), dtype=np.float32)
    state = np.zeros((visit.shape[0], units), dtype=np.float32)
    for step, projected in enumerate(inputs):
        recurred = state @ recurrent + recurrent_bias
        gates = sigmoid(projected[:, : 2 * units] + recurred[:, : 2 * units])
        update, reset = gates[:, :units], gates[:, units:]
        candidate = np.tanh(projected[:, 2 * units :] + reset * recurred[:, 2 * units :])
        state = candidate + update * (state - candidate)
        states[step] = state
    return np.swapaxes(states, 0, 1)


def heads(weights: Weights, state: Float, target: Float, log_prior: Float) -> tuple[Float, Float]:
    """Run the layers behind the GRU.

    Parameters
    ----------
    weights : dict
        Arrays of :func:`training.network.weight_names`.
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
    first_hour = hidden @ weights["first_hour/kernel"] + weights["first_hour/bias"] + log_prior
    visited = hidden @ weights["visited/kernel"] + weights["visited/bias"]
    return first_hour, visited


def sigmoid(x: Float) -> Float:
    """Logistic function; ``tanh`` does not overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)), dtype=np.float32)


def softmax(logits: Float) -> Float:
    """Probabilities over the last axis."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True), dtype=np.float32)
