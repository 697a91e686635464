"""AlexNet, NiN and GoogLeNet against the tables of their papers."""

import numpy as np
import pytest
import tensorflow as tf

import nets
from nets.googlenet import Inception

IMAGES = tf.constant(np.random.default_rng(0).random((2, 224, 224, 3), dtype="float32"))


def shapes(net, *layers):
    """Shape of one example's output of each layer, called one after the other."""
    x, seen = IMAGES, []
    for layer in layers:
        x = getattr(net, layer)(x)
        seen.append(tuple(x.shape[1:]))
    return seen


def test_alexnet_has_the_feature_maps_of_the_paper():
    net = nets.create("alexnet", stem="imagenet", width=3)  # a 32nd of 96, 256 and 384
    seen = shapes(net, "conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5", "flatten", "dense6")
    assert seen[1:] == [
        (27, 27, 3), (27, 27, 8), (13, 13, 8), (13, 13, 12), (13, 13, 12), (13, 13, 8), (6, 6, 8), (288,), (128,),
    ]  # fmt: skip


@pytest.mark.parametrize("stem, least", [("imagenet", 57), ("cifar", 15)])
def test_alexnet_says_how_small_an_image_may_be(stem, least):
    net = nets.create("alexnet", stem=stem, width=3)
    assert net(tf.zeros([1, least, least + 1, 1])).shape == (1, 10)
    with pytest.raises(ValueError, match=rf"`images` \(1, 64, {least - 1}, 1\) must be of at least {least}x{least}"):
        net(tf.zeros([1, 64, least - 1, 1]))


def test_nin_halves_between_its_blocks_and_averages_one_map_per_class():
    net = nets.create("nin", stem="imagenet", width=3, classes=7, dropout=0.0)
    seen = shapes(net, "block0", "pool1", "block1", "pool2", "block2", "pool3", "block3", "maps")
    assert seen == [
        (56, 56, 3), (28, 28, 3), (28, 28, 8), (14, 14, 8), (14, 14, 12), (7, 7, 12), (7, 7, 32), (7, 7, 7),
    ]  # fmt: skip
    small = nets.create("nin", width=6, classes=3)
    assert shapes(small, "block0", "pool1", "block1", "pool2", "block2", "maps")[1::2] == [
        (112, 112, 3), (56, 56, 6), (56, 56, 3),
    ]  # fmt: skip


def test_nin_logits_fall_below_zero_as_well():
    logits = nets.create("nin", width=12)(IMAGES[:, :32, :32])
    assert np.min(logits) < 0


def test_googlenet_has_the_feature_maps_of_the_paper():
    for stem, first in (("imagenet", 8), ("cifar", 2)):
        net, x = nets.create("googlenet", stem=stem, width=4), IMAGES  # a 16th of the channels
        net(IMAGES)
        for layer in ("conv1", "pool1", "reduce2", "conv2", "pool2"):
            x = getattr(net, layer)(x)
        assert x.shape[1:] == (224 // first, 224 // first, 12)
        x = net.pool3(net.stage("3", x))
        assert x.shape[1:] == (112 // first, 112 // first, 30)
        x = net.pool4(net.stage("4", x))
        assert x.shape[1:] == (56 // first, 56 // first, 52)
        assert net.stage("5", x).shape[1:] == (56 // first, 56 // first, 64)


def test_the_four_paths_of_an_inception_block_stand_side_by_side():
    block, x = Inception(2, 1, 3, 1, 4, 5), tf.random.uniform([1, 9, 9, 2])
    y = block(x)
    assert y.shape == (1, 9, 9, 2 + 3 + 4 + 5)
    delta = tf.tensor_scatter_nd_add(x, [[0, 4, 4, 0]], [9.0])  # far above its neighbours
    for variable in block.trainable_variables:  # nothing is cut off below zero
        variable.assign(tf.abs(variable) + 0.1)
    moved = np.abs(block(delta) - block(x))[0] > 0
    for channels, reach in ((slice(0, 2), 1), (slice(2, 5), 3), (slice(5, 9), 5), (slice(9, 14), 3)):
        expected = np.zeros((9, 9), bool)
        expected[4 - reach // 2 : 5 + reach // 2, 4 - reach // 2 : 5 + reach // 2] = True
        np.testing.assert_array_equal(moved[:, :, channels].all(axis=-1), expected)
        np.testing.assert_array_equal(moved[:, :, channels].any(axis=-1), expected)
