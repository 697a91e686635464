"""How channels and sides grow and shrink through a DenseNet."""

import numpy as np
import pytest
import tensorflow as tf

import nets
from nets.densenet import DenseLayer, Transition


@pytest.mark.parametrize("bottleneck, kernels", [(False, [(3, 3, 4, 2)]), (True, [(1, 1, 4, 8), (3, 3, 8, 2)])])
def test_a_layer_puts_its_channels_after_those_it_read(bottleneck, kernels):
    x = tf.constant(np.random.default_rng(0).normal(size=(2, 5, 5, 4)).astype("float32"))
    layer = DenseLayer(2, bottleneck)
    y = layer(x, training=True)
    assert y.shape == (2, 5, 5, 6)
    np.testing.assert_array_equal(y[..., :4], x)
    assert np.std(y[..., 4:]) > 0.1
    assert [tuple(v.shape) for v in layer.trainable_variables if v.path.endswith("kernel")] == kernels


def test_a_transition_takes_means_of_four_pixels():
    x = tf.constant(np.random.default_rng(0).random((1, 4, 4, 2), dtype="float32"))
    transition = Transition(2)
    transition(x)
    transition.conv.kernel.assign(np.eye(2)[None, None])
    means = x.numpy().reshape(1, 2, 2, 2, 2, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(transition(x), means, rtol=1e-4)  # 1e-5: epsilon of the normalisation


@pytest.mark.parametrize(
    "options, side, channels",
    [
        ({}, 4, 248),  # 64 +128 /2 = 96, +128 /2 = 112, +128 /2 = 120, +128
        ({"compression": 1.0, "growth": 4, "filters": 8}, 4, 72),  # 8 + 4 * 16
        ({"compression": 0.3, "growth": 4, "filters": 8, "blocks": (1, 1)}, 16, 7),  # int(0.3 * 12) = 3, + 4
        ({"stem": "imagenet", "growth": 4, "filters": 8}, 1, 31),  # 24 / 2, 28 / 2, 30 / 2 = 15, + 16
    ],
    ids=str,
)
def test_features_have_the_side_and_the_channels_of_table_1(options, side, channels):
    net = nets.create("densenet", **options)
    assert net.features(tf.zeros([1, 32, 32, 1])).shape == (1, side, side, channels)


def test_densenet121_ends_with_1024_channels_on_7x7_of_224():
    net = nets.create("densenet121", growth=2)  # a sixteenth of them
    assert net.features(tf.zeros([1, 224, 224, 3])).shape == (1, 7, 7, 64)
