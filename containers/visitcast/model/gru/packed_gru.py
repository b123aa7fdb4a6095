"""A GRU over packed sequences that does the large matrix products outside the loop over the steps."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


class PackedGru(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Keras' GRU (``reset_after=True``), whose state may be reset at any step.

    Keras multiplies the inputs and adds up the weights' gradient step by step. Here each is one product over all steps,
    as in cuDNN; only the recurrent product depends on the step before.

    Weights: ``kernel`` [F, 3 * units], ``recurrent_kernel`` [units, 3 * units], ``bias`` [2, 3 * units]; gates in
    Keras' order update, reset, candidate.

    Parameters
    ----------
    units : int
        Width of the state.

    References
    ----------
    Cho et al. 2014, arXiv:1406.1078v1; Appleyard et al. 2016, arXiv:1604.01946, section 3.
    """

    def __init__(self, units: int, name: str) -> None:
        super().__init__(name=name)
        self.units = units

    def build(self, visit_shape: tuple[int, ...], fresh_shape: tuple[int, ...]) -> None:  # noqa: ARG002 - Keras passes it by name
        """Make the weights for visits [T, B, F]."""
        width = 3 * self.units
        self.kernel = self.add_weight(name="kernel", shape=(visit_shape[-1], width), initializer="glorot_uniform")
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel", shape=(self.units, width), initializer="orthogonal"
        )
        self.bias = self.add_weight(name="bias", shape=(2, width), initializer="zeros")

    def compute_output_shape(self, visit_shape: tuple[Any, ...], fresh_shape: tuple[Any, ...]) -> tuple[Any, ...]:  # noqa: ARG002
        """Return [T, B, units]."""
        return (*visit_shape[:-1], self.units)

    def call(self, visit: Any, fresh: Any) -> Any:
        """Return the states [T, B, units] after visits [T, B, F]; ``fresh`` [T, B, 1] is 1 where a sequence begins."""
        weights = (tf.convert_to_tensor(weight) for weight in (self.kernel, self.recurrent_kernel, self.bias))
        return _states(visit, fresh, *weights)


@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
def _states(visit: Any, fresh: Any, kernel: Any, recurrent_kernel: Any, bias: Any) -> Any:
    # XLA fuses the many small operations of a step, which take most of the loop's time.
    return _recur(tf.matmul(visit, kernel) + bias[0], 1 - fresh, recurrent_kernel, bias[1])


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _recur(inputs: Any, keep: Any, recurrent_kernel: Any, recurrent_bias: Any) -> Any:
    """Run the recurrence over projected inputs [T, B, 3 * units]; ``keep`` [T, B, 1] is 0 where a sequence begins."""
    steps = tf.shape(inputs)[0]
    units = recurrent_kernel.shape[0]

    def array() -> Any:
        return tf.TensorArray(tf.float32, size=steps, element_shape=(None, None))

    def forward(step: Any, state: Any, kept: Any) -> Any:
        before = state * keep[step]
        recurred = tf.matmul(before, recurrent_kernel) + recurrent_bias
        projected = inputs[step]
        gates = tf.sigmoid(projected[:, : 2 * units] + recurred[:, : 2 * units])
        update, reset = gates[:, :units], gates[:, units:]
        candidate = tf.tanh(projected[:, 2 * units :] + reset * recurred[:, 2 * units :])
        after = candidate + update * (before - candidate)
        values = (before, gates, candidate, recurred[:, 2 * units :], after)
        return step + 1, after, [kind.write(step, value) for kind, value in zip(kept, values, strict=True)]

    nothing = tf.zeros((tf.shape(inputs)[1], units))
    _, _, kept = tf.while_loop(
        lambda step, *_: step < steps, forward, (0, nothing, [array() for _ in range(5)]), maximum_iterations=steps
    )
    befores, gates_of, candidates, recurreds, states = (kind.stack() for kind in kept)

    def gradient(upstream: Any) -> Any:
        def backward(step: Any, flowing: Any, kept: Any) -> Any:
            flowing += upstream[step]
            before, gates, candidate = befores[step], gates_of[step], candidates[step]
            update, reset = gates[:, :units], gates[:, units:]
            to_candidate = flowing * (1 - update) * (1 - candidate * candidate)
            to_gates = tf.concat([flowing * (before - candidate), to_candidate * recurreds[step]], 1)
            to_gates *= gates * (1 - gates)
            to_recurred = tf.concat([to_gates, to_candidate * reset], 1)
            flowing = flowing * update + tf.matmul(to_recurred, recurrent_kernel, transpose_b=True)
            values = (tf.concat([to_gates, to_candidate], 1), to_recurred)
            return (
                step - 1,
                flowing * keep[step],
                [kind.write(step, value) for kind, value in zip(kept, values, strict=True)],
            )

        _, _, kept = tf.while_loop(
            lambda step, *_: step >= 0,
            backward,
            (steps - 1, nothing, [array() for _ in range(2)]),
            maximum_iterations=steps,
        )
        to_inputs, to_recurred = (kind.stack() for kind in kept)
        flat = tf.reshape(to_recurred, (-1, 3 * units))
        to_kernel = tf.matmul(tf.reshape(befores, (-1, units)), flat, transpose_a=True)
        return to_inputs, None, to_kernel, tf.reduce_sum(flat, axis=0)

    return states, gradient
