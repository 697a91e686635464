"""Convolutions computed as matrix products are Keras's, to the second derivative."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from nets import _convolutions
from nets._convolutions import Conv2D, Conv2DTranspose


def _all(layer, x):
    """Output, gradients to input and weights, and those of a gradient penalty."""
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = layer(x)
        loss = tf.reduce_sum(tf.sin(y))
        derivative = tape.gradient(loss, x)
        penalty = tf.reduce_sum(tf.square(derivative))
    weights = [v.value for v in layer.trainable_variables]
    return [y, derivative, *tape.gradient(loss, weights), *tape.gradient(penalty, weights)]


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
    (Conv2DTranspose, keras.layers.Conv2DTranspose, (4, 3, 5), {"kernel_size": (4, 5), "strides": 2, "padding": "same"},
     False),
    (Conv2D, keras.layers.Conv2D, (9, 12, 3), {"kernel_size": (4, 3), "strides": 2, "padding": "same"}, False),
    (Conv2D, keras.layers.Conv2D, (11, 13, 1), {"kernel_size": 5, "strides": 3, "activation": "relu"}, False),
    (Conv2D, keras.layers.Conv2D, (11, 8, 5), {"kernel_size": 4, "strides": 2}, False),
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


@pytest.mark.parametrize("sides, kernel, strides", [
    ((4, 4), (3, 3), (1, 1)), ((7, 7), (3, 3), (2, 2)), ((7, 5), (3, 2), (2, 3)), ((3, 6), (1, 1), (1, 1)),
    ((2, 2), (5, 5), (1, 1)),
])
def test_the_gradient_of_a_kernel_as_a_product_of_patches(sides, kernel, strides):
    """Against TensorFlow's own, in float64, to the second derivative."""
    rng = np.random.default_rng(0)
    x, weights = tf.constant(rng.normal(size=(3, *sides, 4))), tf.constant(rng.normal(size=(*kernel, 4, 5)))

    def everything(convolve):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([x, weights])
            y = convolve(x, weights, strides)
            first = tape.gradient(tf.reduce_sum(tf.sin(y)), [x, weights])
            penalty = tf.reduce_sum(tf.square(first[0])) + tf.reduce_sum(tf.sin(first[1]))
        return [y, *first, *tape.gradient(penalty, [x, weights])]

    ours = everything(_convolutions._convolve)
    for a, b in zip(ours, everything(lambda x, w, s: tf.nn.conv2d(x, w, s, "SAME")), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype, side, filters, kernel, product", [
    ("mixed_bfloat16", 4, 256, 3, True), ("mixed_bfloat16", 8, 256, 3, False), ("mixed_bfloat16", 4, 64, 3, False),
    ("mixed_bfloat16", 8, 4, 1, True), ("mixed_float16", 4, 256, 3, True), ("float32", 4, 256, 3, False),
])
def test_half_precision_gathers_many_channels_on_few_positions(dtype, side, filters, kernel, product):
    layer = Conv2D(filters, kernel, padding="same", dtype=dtype)
    layer.build((2, side, side, 128))

    @tf.function
    def gradient(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(x))
        return tape.gradient(loss, layer.kernel.value)

    x = tf.random.stateless_normal((2, side, side, 128), (0, 0))
    kinds = {operation.type for operation in gradient.get_concrete_function(x).graph.get_operations()}
    assert ("MatMul" in kinds) == product and ("Conv2DBackpropFilter" in kinds) != product
    assert gradient(x).dtype == tf.float32


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("layer", [
    lambda dtype: Conv2D(8, 3, padding="same", dtype=dtype), lambda dtype: Conv2D(8, 4, strides=2, dtype=dtype),
    lambda dtype: Conv2DTranspose(8, 4, strides=2, padding="same", dtype=dtype)], ids=["same", "valid", "transposed"])
def test_the_gradient_of_a_bias_is_summed_in_float32(layer, dtype):
    """d sum(w * (conv(x) + b)) / db is the sum of w over examples and positions, whatever the convolution."""
    made = layer(dtype)
    x = tf.random.stateless_normal([32, 14, 14, 4], [0, 1])
    shape = made(x).shape
    weights = tf.cast(1.0 + 0.1 * tf.random.stateless_normal(shape, [2, 3]), made.compute_dtype)

    @tf.function
    def gradient():
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(tf.cast(weights * made(x), tf.float32))
        return tape.gradient(total, made.bias.value)

    expected = np.asarray(tf.cast(weights, tf.float32)).astype("float64").sum(axis=(0, 1, 2))
    np.testing.assert_allclose(gradient(), expected, rtol=0.01)


@pytest.mark.parametrize("shape, options", [((14, 14, 3), {"kernel_size": 3, "padding": "same"}),
                                            ((6, 6, 3), {"kernel_size": 5, "strides": 3})], ids=["same", "fits once"])
def test_no_slow_operation_of_tensorflow_in_the_gradients(shape, options):
    """A bias's gradient that Grappler would join to the kernel's, and a crop's that is a copy."""
    def kinds(made):
        made.build((2, *shape))

        @tf.function
        def gradients(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                loss = tf.reduce_sum(tf.sin(made(x)))
            return tape.gradient(loss, [x, *(v.value for v in made.trainable_variables)])

        graph = gradients.get_concrete_function(tf.TensorSpec((2, *shape))).graph
        return {operation.type for operation in graph.get_operations()}

    assert not {"BiasAddGrad", "StridedSliceGrad"} & kinds(Conv2D(4, activation="relu", **options))
    assert "BiasAddGrad" in kinds(keras.layers.Conv2D(4, activation="relu", **options))  # what is looked for exists
