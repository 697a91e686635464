"""The kit for testing loss maths, ours and yours.

A loss is any function of arrays to numbers, as those in ``losses``. In a test of yours:

    def test_cosh_error():
        x, y = np.array([1.0, -2.0]), np.array([0.5, 1.0])
        assert_matches_reference(cosh_error, lambda x, y: np.log(np.cosh(x - y)), x, y)
        assert_gradients_match_finite_differences(cosh_error, x, y)
        assert_plans_agree(cosh_error, x, y)
        assert_finite(cosh_error, [1e4, -1e4], [-1e4, 0.0])

Floating arrays are arguments to differentiate; integer and bool arrays (labels) are passed on as they are.
A failure names the argument by its index, the element, and both numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

Loss = Callable[..., Any]  # from tensors to a tensor, usually [B]
Array = npt.ArrayLike


def assert_matches_reference(
    loss: Loss, reference: Loss, *arrays: Array, rtol: float = 1e-5, atol: float = 1e-6
) -> None:
    """Assert that ``loss`` has the values, the shape and the dtype of a NumPy formula.

    It is asked twice: in float32, within ``rtol`` and ``atol``; and in float64, within 1e-5 times these. The
    reference sees, in float64, the arrays as rounded for the loss.

    Example: ``assert_matches_reference(squared_error, lambda t, p: np.mean((t - p) ** 2, 1), t, p)``.
    """
    for dtype, factor in ((tf.float32, 1.0), (tf.float64, 1e-5)):
        tensors = _tensors(arrays, dtype)
        value = tf.convert_to_tensor(loss(*tensors))
        if value.dtype != dtype:
            raise AssertionError(f"value: dtype {value.dtype.name} for arguments of {dtype.name}")
        rounded = [np.asarray(tensor) for tensor in tensors]
        expected = reference(*[a.astype(np.float64) if a.dtype.kind == "f" else a for a in rounded])
        _assert_close(value, expected, rtol * factor, atol * factor, f"value in {dtype.name}")


def assert_gradients_match_finite_differences(
    fn: Loss, *arrays: Array, epsilon: float = 1e-6, rtol: float = 1e-5, atol: float = 1e-7
) -> None:
    """Assert that the tape's gradient of ``sum(fn)`` is the central difference, in float64, element by element.

    Keep arrays small (each element costs two calls) and away from kinks (``|x|`` at 0): a difference
    across a kink is no gradient.

    Example: ``assert_gradients_match_finite_differences(huber, np.array([0.3, 2.0]), np.array([0.1, -1.0]))``.
    """
    tensors = _tensors(arrays, tf.float64)
    _, gradients = _value_and_gradients(fn, tensors)

    def total(index: int, element: tuple[int, ...], shift: float) -> float:
        moved = [np.array(tensor) for tensor in tensors]
        moved[index][element] += shift
        return float(tf.reduce_sum(fn(*map(tf.constant, moved))))

    for index, gradient in gradients.items():
        expected = np.empty(gradient.shape)
        for element in np.ndindex(*expected.shape):
            rise = total(index, element, epsilon) - total(index, element, -epsilon)
            expected[element] = rise / (2.0 * epsilon)
        _assert_close(gradient, expected, rtol, atol, f"gradient of argument {index}")


def assert_second_order_gradients(fn: Loss, *arrays: Array, **tolerances: float) -> None:
    """Assert that the gradient of the gradient is right: along one fixed direction, by finite differences.

    A loss that holds a gradient, as a penalty, needs this of the critic; a ``stop_gradient`` or a custom
    gradient in the wrong place passes every first-order test. ``tolerances`` are those of the first order.

    Example: ``assert_second_order_gradients(critic, np.array([[0.1, -0.4]]))``.
    """
    draw = np.random.default_rng(0)
    directions = {index: draw.normal(size=np.shape(array)) for index, array in enumerate(arrays)}

    def first_order(*tensors: tf.Tensor) -> tf.Tensor:
        _, gradients = _value_and_gradients(fn, list(tensors))
        return tf.add_n([tf.reduce_sum(directions[index] * grad) for index, grad in gradients.items()])

    assert_gradients_match_finite_differences(first_order, *arrays, **tolerances)


def assert_plans_agree(fn: Loss, *arrays: Array, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    """Assert that eager, graph and XLA give one value and one gradient within rounding, in float32.

    Example: ``assert_plans_agree(softmax_cross_entropy, labels, logits)``.
    """
    tensors = _tensors(arrays, tf.float32)
    value, gradients = _value_and_gradients(fn, tensors)
    for plan, jit in (("graph", False), ("xla", True)):
        compiled = tf.function(lambda *args: _value_and_gradients(fn, list(args)), jit_compile=jit)
        other_value, other_gradients = compiled(*tensors)
        _assert_close(other_value, value, rtol, atol, f"value under {plan}, against eager")
        for index, gradient in gradients.items():
            what = f"gradient of argument {index} under {plan}, against eager"
            _assert_close(other_gradients[index], gradient, rtol, atol, what)


def assert_finite(fn: Loss, *arrays: Array) -> None:
    """Assert that the value and every gradient are finite in float32, the dtype of training.

    Example: ``assert_finite(bernoulli_nll, [[0.0, 1.0]], [[1e4, -1e4]])``.
    """
    value, gradients = _value_and_gradients(fn, _tensors(arrays, tf.float32))
    found = {"value": value} | {f"gradient of argument {index}": grad for index, grad in gradients.items()}
    for what, tensor in found.items():
        numbers = np.asarray(tensor)
        for element in np.argwhere(~np.isfinite(numbers))[:1]:
            where = tuple(map(int, element))
            raise AssertionError(f"{what}, element {where}: {numbers[where]} is not finite")


def _tensors(arrays: tuple[Array, ...], dtype: tf.DType) -> list[tf.Tensor]:
    """Floating arrays in ``dtype``; integers and bools as they are."""
    given = [np.asarray(array) for array in arrays]
    return [tf.constant(array, dtype if np.issubdtype(array.dtype, np.floating) else None) for array in given]


def _value_and_gradients(fn: Loss, tensors: list[tf.Tensor]) -> tuple[tf.Tensor, dict[int, tf.Tensor]]:
    """``fn``'s value, and the gradient of its sum by the index of each floating argument."""
    floating = {index: tensor for index, tensor in enumerate(tensors) if tensor.dtype.is_floating}
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(floating)
        value = tf.convert_to_tensor(fn(*tensors))
    return value, tape.gradient(value, floating, unconnected_gradients="zero")


def _assert_close(found: Any, expected: Array, rtol: float, atol: float, what: str) -> None:
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        raise AssertionError(f"{what}: shape {found.shape} where {expected.shape} was expected")
    wrong = ~np.isclose(found, expected, rtol=rtol, atol=atol)  # NaN is close to nothing
    for element in np.argwhere(wrong)[:1]:
        where = tuple(map(int, element))
        raise AssertionError(
            f"{what}, element {where}: {found[where]:.9g} where {expected[where]:.9g} was expected "
            f"({wrong.sum()} of {wrong.size} elements differ)"
        )
