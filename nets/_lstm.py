"""Long short-term memory whose gradient is derived by hand: one product for all steps wherever there is one."""

from typing import Any

import keras
import tensorflow as tf

from nets._convolutions import HALF_PRECISION


class LSTM(keras.layers.Layer):
    """As ``keras.layers.LSTM(units, use_cudnn=False)``, with its weights, time first.

    In half precision Keras's gradient of the bias is half off: see ``_convolutions``.

    The inputs of all steps are projected in one product, and the gradients of both kernels are one product each,
    outside the loops: a step is left with one product of [B, units] by [units, 4 units] forwards and one backwards.
    Automatic differentiation would take three more.

    A state passes a step that is masked unchanged.

    Args:
      units: H.
      return_sequences: Whether the states of all steps are given, not the last alone.
    """

    def __init__(self, units: int, *, return_sequences: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.units, self.return_sequences = units, return_sequences

    def build(self, shape: Any) -> None:
        """[T, B, E], time first."""
        self.kernel = self.add_weight(shape=(shape[-1], 4 * self.units), initializer="glorot_uniform", name="kernel")
        self.recurrent_kernel = self.add_weight(shape=(self.units, 4 * self.units), initializer="orthogonal",
                                                name="recurrent_kernel")
        self.bias = self.add_weight(shape=(4 * self.units,), initializer=self._forget, name="bias")

    def _forget(self, shape: Any, dtype: Any = None) -> tf.Tensor:
        """0, and 1 for the forget gate, which so begins open."""
        zeros = tf.zeros([self.units], dtype)
        return tf.concat([zeros, tf.ones([self.units], dtype), zeros, zeros], axis=0)

    def call(self, x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """x [T, B, E], mask bool [T, B] -> states [T, B, H], or the last, [B, H]."""
        projected = tf.linalg.matmul(x, self.kernel)  # [T, B, 4H]
        recurrent, bias = (tf.convert_to_tensor(each, projected.dtype) for each in (self.recurrent_kernel, self.bias))
        states = scan(projected, recurrent, bias, mask)
        return states if self.return_sequences else states[-1]


@tf.custom_gradient
def scan(projected: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, mask: tf.Tensor) -> Any:
    """The states of an LSTM that begins at zero.

        i, f, g, o = split(projected_t + h_{t-1} U + b);  c_t = s(f) c_{t-1} + s(i) tanh(g);  h_t = s(o) tanh(c_t)

    Hochreiter and Schmidhuber 1997 with the forget gate of Gers et al. 2000; gates in the order of Keras.

    XLA on CPUs runs the body of a loop on one thread if it has at most eight operations, and hands each to another
    thread if it has more. So both bodies here have eight or fewer, each over memory in order: all gates are one
    function of tanh, h and c are kept in one array, and backwards the gates stand on an axis of their own.

    Args:
      projected: [T, B, 4H]: inputs times their kernel.
      kernel: Recurrent kernel U, [H, 4H].
      bias: b, [4H].
      mask: [T, B], bool: where False, h and c stay as they are.

    Returns:
      h, [T, B, H].
    """
    units, dtype = kernel.shape[0], projected.dtype
    known, found = projected.shape[:2], tf.shape(projected)
    steps, batch = (found[i] if known[i] is None else known[i] for i in range(2))
    zeros = tf.zeros([batch, units], dtype)
    keep = mask[:, :, None]  # [T, B, 1]
    # Every gate is scale tanh(scale z) + shift, since s(z) = tanh(z / 2) / 2 + 1 / 2.
    scale, shift = (tf.constant(each, dtype) for each in ([.5, .5, 1, .5], [.5, .5, 0, .5]))
    scales, shifts = tf.repeat(scale, units), tf.repeat(shift, units)

    def array(*shape: int | None) -> tf.TensorArray:
        return tf.TensorArray(dtype, steps, element_shape=shape)

    def forward(t: tf.Tensor, h: tf.Tensor, c: tf.Tensor, gates: Any, states: Any) -> Any:
        gate = scales * tf.tanh(scales * (projected[t] + tf.linalg.matmul(h, kernel) + bias)) + shifts
        i, f, g, o = tf.split(gate, 4, axis=1)
        c = tf.where(keep[t], f * c + i * g, c)
        h = tf.where(keep[t], o * tf.tanh(c), h)
        return t + 1, h, c, gates.write(t, gate), states.write(t, _stacked(h, c))

    arrays = array(known[1], 4 * units), array(2, known[1], units)
    *_, gates, pairs = tf.while_loop(lambda t, *_: t < steps, forward, (tf.constant(0), zeros, zeros, *arrays),
                                     maximum_iterations=steps)
    states, cells = tf.unstack(pairs.stack(), axis=1)

    def gradient(upstream: tf.Tensor) -> Any:
        # What does not hang on the step after is computed for all steps at once; masked steps change nothing.
        before_h, before_c = (tf.concat([zeros[None], each[:-1]], axis=0) for each in (states, cells))
        gate = tf.transpose(tf.reshape(gates.stack(), [steps, batch, 4, units]), [0, 2, 1, 3])  # [T, 4, B, H]
        i, f, g, o = tf.unstack(gate, axis=1)
        squashed = tf.tanh(cells)
        kept, passed = tf.cast(keep, dtype), tf.cast(~keep, dtype)
        level, most = gate - _upright(shift), _upright(scale)
        derivatives = (most - level) * (most + level)  # of each gate in its argument; not squares, which would cancel
        to_gates = kept[:, None] * derivatives * _stacked(g, before_c, i, squashed, axis=1)
        to_cell, to_before = kept * o * (1 - tf.square(squashed)), tf.where(keep, f, tf.ones_like(f))
        after_c, after_h = (tf.concat([each[1:], tf.zeros_like(each[:1])], axis=0) for each in (to_before, passed))
        turned = tf.transpose(tf.reshape(kernel, [units, 4, units]), [1, 2, 0])  # [4, H of a gate, H]

        def backward(t: tf.Tensor, dh: tf.Tensor, dc: tf.Tensor, change: tf.Tensor, changes: Any) -> Any:
            # Gradients of h, c and the gates' arguments, of the step after on entering.
            dh = tf.reduce_sum(tf.linalg.matmul(change, turned), axis=0) + dh * after_h[t] + upstream[t]
            dc = dc * after_c[t] + dh * to_cell[t]
            change = _stacked(dc, dc, dc, dh) * to_gates[t]
            return t - 1, dh, dc, change, changes.write(t, change)

        start = (tf.convert_to_tensor(steps - 1), zeros, zeros, tf.zeros([4, batch, units], dtype))
        *_, changes = tf.while_loop(lambda t, *_: t >= 0, backward, (*start, array(4, known[1], units)),
                                    maximum_iterations=steps)
        change = tf.reshape(tf.transpose(changes.stack(), [0, 2, 1, 3]), [-1, 4 * units])
        to_kernel = tf.linalg.matmul(tf.reshape(before_h, [-1, units]), change, transpose_a=True)
        return tf.reshape(change, tf.shape(projected)), to_kernel, _rows(change), None

    return states, gradient


def _upright(values: tf.Tensor) -> tf.Tensor:
    """[4] -> [4, 1, 1]."""
    return tf.reshape(values, [-1, 1, 1])


def _stacked(*parts: tf.Tensor, axis: int = 0) -> tf.Tensor:
    """``tf.stack`` by choosing, which XLA does for many numbers at once, and joining one by one."""
    chosen = tf.expand_dims(parts[-1], axis)
    which = tf.reshape(tf.range(len(parts)), [-1, *[1] * (parts[0].shape.rank - axis)])
    for number, part in reversed(list(enumerate(parts[:-1]))):
        if part is not parts[number + 1]:
            chosen = tf.where(which <= number, tf.expand_dims(part, axis), chosen)
    return chosen


def _rows(x: tf.Tensor) -> tf.Tensor:
    """[n, m] -> their sum, [m], in float32; by a product, which takes a tenth of a reduction under XLA."""
    wide = tf.cast(x, tf.float32) if x.dtype in HALF_PRECISION else x
    return tf.cast(tf.linalg.matmul(tf.ones([1, tf.shape(x)[0]], wide.dtype), wide)[0], x.dtype)
