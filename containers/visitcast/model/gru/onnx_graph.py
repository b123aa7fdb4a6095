"""Write the trained network as ONNX, which :mod:`visitcast.model.gru.inference` runs without TensorFlow.

The file holds Keras' arrays under their own names. Where ONNX wants another layout, the graph transposes them; the
runtime does that once, when it loads the file.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

from visitcast.data.schema import HOURS
from visitcast.features.histogram_features import HOUR_BLOCKS, HOUR_COLUMNS
from visitcast.model.gru.hour_head import REACH_FIRST, REACH_SECOND
from visitcast.model.gru.network import Weights
from visitcast.model.logits import Logits

OPSET: Final = 21
IR_VERSION: Final = 10
"""Versions of the file format; every ONNX Runtime since 1.18 reads them."""

_Tensor = tuple[str, Any, list[Any]]
"""Name, type and shape; a string in the shape names a size that varies."""


def to_onnx(weights: Weights) -> bytes:
    """Write the network for whole sequences.

    Parameters
    ----------
    weights : dict
        Arrays by ``layer/variable``, see :func:`visitcast.model.gru.network.weight_names`.

    Returns
    -------
    bytes
        ONNX model. Inputs, S sequences of up to T steps: visits float32 [T, S, F], lengths int32 [S], places int64
        [R, 2] (step and sequence of each row to forecast), target float32 [R, G] and log_prior float32 [R, 24].
        Outputs: first_hour and later_visit, float32 [R, 24] logits.
    """
    graph = _Graph(weights)
    units = len(weights["gru/recurrent_kernel"])
    state = _states(graph, units)
    joined = graph.add("Concat", state, "target", axis=1)
    hidden = graph.add("Relu", _dense(graph, joined, "hidden"))
    scores = _hour_scores(graph, hidden)
    for number, name in enumerate(Logits._fields):
        correction = graph.add("Add", _dense(graph, hidden, name), "log_prior")
        score = graph.add("Gather", scores, graph.constant(number), axis=1)
        graph.add("Add", correction, score, output=name)
    visit_width, target_width = len(weights["gru/kernel"]), len(weights["hidden/kernel"]) - units
    inputs: list[_Tensor] = [
        ("visits", TensorProto.FLOAT, ["steps", "sequences", visit_width]),
        ("lengths", TensorProto.INT32, ["sequences"]),
        ("places", TensorProto.INT64, ["rows", 2]),
        ("target", TensorProto.FLOAT, ["rows", target_width]),
        ("log_prior", TensorProto.FLOAT, ["rows", HOURS]),
    ]
    return graph.model(inputs, [(name, TensorProto.FLOAT, ["rows", HOURS]) for name in Logits._fields])


def _states(graph: _Graph, units: int) -> str:
    """Add the GRU and take its state at each place, [R, units]; ONNX orders the gates as Keras does."""
    kernel, recurrent = (
        graph.add("Unsqueeze", graph.add("Transpose", f"gru/{name}"), graph.constant([0]))
        for name in ("kernel", "recurrent_kernel")
    )
    bias = graph.add("Reshape", "gru/bias", graph.constant([1, -1]))
    # Keras' reset_after.
    states = graph.add("GRU", "visits", kernel, recurrent, bias, "lengths", hidden_size=units, linear_before_reset=1)
    return graph.add("GatherND", graph.add("Squeeze", states, graph.constant([1])), "places")


def _hour_scores(graph: _Graph, hidden: str) -> str:
    """Add :class:`visitcast.model.gru.hour_head.HourHead` with the hours as the last axis, [R, 2, 24]."""
    columns = [graph.constant([value]) for value in (HOUR_COLUMNS.start, HOUR_COLUMNS.stop, 1)]
    blocks = graph.add("Reshape", graph.add("Slice", "target", *columns), graph.constant([0, HOUR_BLOCKS, HOURS]))
    context = graph.add("Unsqueeze", graph.add("MatMul", hidden, "hour_head/context"), graph.constant([2]))
    around = graph.add("Conv", _round_the_clock(graph, blocks, REACH_FIRST), _filters(graph, "hour_head/around"))
    by_hour = graph.add("Transpose", "hour_head/hour_bias")
    near = graph.add("Relu", graph.add("Add", graph.add("Add", around, context), by_hour))
    again = graph.add(
        "Conv",
        _round_the_clock(graph, near, REACH_SECOND),
        _filters(graph, "hour_head/again"),
        "hour_head/again_bias",
    )
    return graph.add("MatMul", graph.add("Transpose", "hour_head/scores"), graph.add("Relu", again))


def _dense(graph: _Graph, inputs: str, layer: str) -> str:
    return graph.add("Gemm", inputs, f"{layer}/kernel", f"{layer}/bias")


def _filters(graph: _Graph, name: str) -> str:
    """Transpose Keras' [taps, channels, filters] to ONNX' [filters, channels, taps]."""
    return graph.add("Transpose", name, perm=[2, 1, 0])


def _round_the_clock(graph: _Graph, hours: str, reach: int) -> str:
    """Pad circularly: the last hours before the first, the first after the last, [R, channels, 24 + 2 * reach]."""
    return graph.add("Pad", hours, graph.constant([0, 0, reach, 0, 0, reach]), mode="wrap")


class _Graph:
    """Nodes and constants in the order in which they were added, numbered unless they are outputs."""

    def __init__(self, weights: Weights) -> None:
        self._nodes: list[Any] = []
        self._constants = [numpy_helper.from_array(array, name) for name, array in weights.items()]

    def constant(self, value: Any) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value, dtype=np.int64), name))
        return name

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def model(self, inputs: list[_Tensor], outputs: list[_Tensor]) -> bytes:
        ins, outs = ([helper.make_tensor_value_info(*tensor) for tensor in some] for some in (inputs, outputs))
        graph = helper.make_graph(self._nodes, "visit_hours", ins, outs, self._constants)
        model = helper.make_model(
            graph, producer_name="visitcast", opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
        )
        checker.check_model(model, full_check=True)
        written: bytes = model.SerializeToString(deterministic=True)
        return written
