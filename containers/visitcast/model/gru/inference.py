"""The network's forward pass by ONNX Runtime.

Serving and evaluation need no gradients, and TensorFlow takes seconds and hundreds of megabytes just to import.
A test compares this pass with Keras'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from visitcast.model.gru.sequences import Pieces, cut
from visitcast.model.logits import Float, Logits

SEQUENCES_AT_ONCE: Final = 128
"""So that the working set of a step fits into a core's second-level cache."""

ReadVisits = Callable[[NDArray[np.int64]], Float]
"""Returns the history features [rows, F] of rows."""
_Places = NDArray[np.int64] | slice


@dataclass(frozen=True, slots=True)
class Network:
    """A trained network.

    Attributes
    ----------
    model : bytes
        As :func:`visitcast.model.gru.onnx_graph.to_onnx` writes it.
    session : onnxruntime.InferenceSession
        The same, ready to run; threads may share it.
    """

    model: bytes
    session: onnxruntime.InferenceSession


def load(model: bytes) -> Network:
    """Prepare a network to run."""
    options = onnxruntime.SessionOptions()
    # The products of one forecast are too small for several threads, and requests run side by side already.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # It plans the memory for each shape of the inputs, and here nearly every request has another shape.
    options.enable_mem_pattern = False
    return Network(model, onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]))


def logits(
    network: Network,
    read_visits: ReadVisits,
    offsets: NDArray[np.int64],
    rows: NDArray[np.int64],
    target: Float,
    log_prior: Float,
    unread: NDArray[np.bool_],
) -> Logits:
    """Run the network for some rows.

    Sequences of similar length are computed together, so that few steps are padding.

    Parameters
    ----------
    network : Network
        The network.
    read_visits : callable
        Returns history features by row.
    offsets : int64 array [U + 1]
        Rows ``offsets[u]:offsets[u + 1]`` belong to user ``u``, in date order.
    rows : int64 array [rows]
        Rows to forecast, ascending, none of them a user's first.
    target : float32 array [rows, G]
        Features of the days to forecast.
    log_prior : float32 array [rows, 24]
        Log of the histogram's forecast.
    unread : bool array [rows]
        Whether the GRU does not read the row before, since that day is not over.
    """
    pieces = cut(offsets, rows)
    # A piece has earlier steps, but for a user's second row.
    step = np.maximum(rows - unread - pieces.start[pieces.of_row], 0)
    made = Logits(np.empty_like(log_prior), np.empty_like(log_prior))
    for members, here, sequence in _blocks(pieces):
        start, length = pieces.start[members], pieces.length[members]
        # The network reads the visit before each row. Padding reads the last visit again.
        visit_rows = start - 1 + np.minimum(np.arange(length.max(initial=0))[:, None], length - 1)
        inputs = {
            "visits": read_visits(visit_rows.ravel()).reshape(*visit_rows.shape, -1),
            "lengths": length.astype(np.int32),
            "places": np.stack([step[here], sequence], axis=1),
            "target": target[here],
            "log_prior": log_prior[here],
        }
        made.first_hour[here], made.later_visit[here] = network.session.run(list(Logits._fields), inputs)
    return made


def _blocks(pieces: Pieces) -> Iterator[tuple[_Places, _Places, NDArray[np.int64]]]:
    """Yield pieces of similar length, their wanted rows, and for each such row the position of its piece among them."""
    if len(pieces.start) <= SEQUENCES_AT_ONCE:
        yield slice(None), slice(None), pieces.of_row
        return
    longest_first = np.argsort(-pieces.length, kind="stable")
    rank = np.empty_like(longest_first)
    rank[longest_first] = np.arange(len(rank))
    rank_of_row = rank[pieces.of_row]
    by_rank = np.argsort(rank_of_row, kind="stable")
    for begin in range(0, len(longest_first), SEQUENCES_AT_ONCE):
        members = longest_first[begin : begin + SEQUENCES_AT_ONCE]
        here = by_rank[slice(*rank_of_row.searchsorted([begin, begin + len(members)], sorter=by_rank))]
        yield members, here, rank_of_row[here] - begin
