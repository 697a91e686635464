"""The embedding as a GPU computes it: the same vectors and gradients as Keras's layer, the same bits in any order."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from nets import _embedding
from nets._embedding import Embedding, rows_of, sums_by_id

VOCABULARY, WIDTH = 11, 3


def test_hand_worked() -> None:
    rows = tf.constant([[1.0], [2.0], [4.0], [8.0]])
    got = sums_by_id(rows, tf.constant([2, 0, 2, 2]), tf.constant(4))
    np.testing.assert_array_equal(got, [[2.0], [0.0], [13.0], [0.0]])


@pytest.mark.parametrize("count", [1, 2, 7, 64, 1000])
@pytest.mark.parametrize("compiled", [None, False, True])
def test_sums_are_those_of_float64(count: int, compiled: bool | None) -> None:
    random = np.random.default_rng(count)
    ids, rows = random.integers(0, VOCABULARY, count), random.normal(size=(count, WIDTH))
    expected = np.zeros((VOCABULARY, WIDTH))
    np.add.at(expected, ids, rows)
    of = sums_by_id if compiled is None else tf.function(sums_by_id, jit_compile=compiled)
    got = of(tf.constant(rows, tf.float32), tf.constant(ids, tf.int32), tf.constant(VOCABULARY)).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_unknown_length_and_unknown_ids() -> None:
    of = tf.function(sums_by_id, input_signature=[
        tf.TensorSpec([None, 1]), tf.TensorSpec([None], tf.int32), tf.TensorSpec([], tf.int32)])
    got = of(tf.constant([[1.0], [2.0], [4.0]]), tf.constant([1, -1, 5]), tf.constant(3))
    np.testing.assert_array_equal(got, [[0.0], [1.0], [0.0]])


@pytest.mark.parametrize("shape", [(5,), (4, 6), (2, 3, 4)])
def test_as_keras_layer(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    ids = tf.constant(np.random.default_rng(0).integers(0, VOCABULARY, shape))
    layer = Embedding(VOCABULARY, WIDTH)
    layer.build(None)
    other = keras.layers.Embedding(VOCABULARY, WIDTH)
    other.build(None)
    other.set_weights(layer.get_weights())
    weights = tf.random.stateless_normal([*shape, WIDTH], (0, 1))
    monkeypatch.setattr(_embedding.tf.config, "list_physical_devices", lambda kind: ["one"])
    found = []
    for each in (layer, other):
        with tf.GradientTape() as tape:
            y = each(ids)
            objective = tf.reduce_sum(y * y * weights)
        found.append((y, tf.convert_to_tensor(tape.gradient(objective, each.trainable_variables[0].value))))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-5, atol=1e-6)


def test_second_derivative() -> None:
    table, ids = tf.random.stateless_normal([VOCABULARY, WIDTH], (0, 1)), tf.constant([1, 1, 4])
    with tf.GradientTape() as outer:
        outer.watch(table)
        with tf.GradientTape() as inner:
            inner.watch(table)
            objective = tf.reduce_sum(rows_of(table, ids) ** 3)
        derivative = tf.reduce_sum(inner.gradient(objective, table) ** 2)
    got = outer.gradient(derivative, table)
    counts = np.bincount(ids, minlength=VOCABULARY)[:, None]
    np.testing.assert_allclose(got, counts ** 2 * 36.0 * table.numpy() ** 3, rtol=1e-5)
