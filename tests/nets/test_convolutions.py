"""Convolutions computed as matrix products are Keras's, to the second derivative."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from nets._convolutions import Conv2D, Conv2DTranspose


def _all(layer, x):
    """Output, gradients to input and weights, and those of a gradient penalty."""
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = layer(x)
        loss = tf.reduce_sum(tf.sin(y))
        slope = tape.gradient(loss, x)
        penalty = tf.reduce_sum(tf.square(slope))
    weights = [v.value for v in layer.trainable_variables]
    return [y, slope, *tape.gradient(loss, weights), *tape.gradient(penalty, weights)]


CASES = [
    (Conv2D, keras.layers.Conv2D, (6, 6, 3), {"kernel_size": 5, "strides": 3}, True),
    (Conv2D, keras.layers.Conv2D, (5, 7, 2), {"kernel_size": (5, 6), "strides": 2, "activation": "relu"}, True),
    (Conv2D, keras.layers.Conv2D, (4, 4, 2), {"kernel_size": 4, "use_bias": False}, True),
    (Conv2D, keras.layers.Conv2D, (8, 6, 3), {"kernel_size": 5, "strides": 3}, False),
    (Conv2D, keras.layers.Conv2D, (6, 6, 3), {"kernel_size": 5, "strides": 3, "padding": "same"}, False),
    (Conv2D, keras.layers.Conv2D, (6, 6, 4), {"kernel_size": 5, "strides": 3, "groups": 2}, False),
    (Conv2DTranspose, keras.layers.Conv2DTranspose, (3, 4, 5), {"kernel_size": 3, "strides": 3}, True),
    (Conv2DTranspose, keras.layers.Conv2DTranspose, (3, 3, 2), {"kernel_size": (2, 3), "strides": (2, 3),
                                                               "padding": "same", "activation": "tanh"}, True),
    (Conv2DTranspose, keras.layers.Conv2DTranspose, (3, 3, 2), {"kernel_size": 3, "strides": 3, "use_bias": False},
     True),
    (Conv2DTranspose, keras.layers.Conv2DTranspose, (3, 4, 5), {"kernel_size": 5, "strides": 2}, False),
    (Conv2DTranspose, keras.layers.Conv2DTranspose, (3, 3, 2), {"kernel_size": 2, "strides": 2, "output_padding": 1},
     False),
]


@pytest.mark.parametrize("ours, theirs, shape, options, product", CASES)
def test_the_same_numbers_as_keras(ours, theirs, shape, options, product):
    x = tf.constant(np.random.default_rng(0).normal(size=(4, *shape)))
    mine = ours(4, dtype="float64", bias_initializer="normal", **options)
    reference = theirs(4, dtype="float64", bias_initializer="normal", **options)
    mine.build(x.shape), reference.build(x.shape)
    mine.set_weights(reference.get_weights())
    for a, b in zip(_all(mine, x), _all(reference, x), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    graph = tf.function(mine).get_concrete_function(tf.TensorSpec(x.shape, x.dtype)).graph
    kinds = {operation.type for operation in graph.get_operations()}
    assert ("MatMul" in kinds) == product
