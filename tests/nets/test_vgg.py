"""VGG's table of blocks and the options of the form for CIFAR."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import nets

IMAGES = tf.constant(np.random.default_rng(0).random((4, 32, 32, 3), dtype="float32"))


@pytest.mark.parametrize("name, depth", [("vgg11", 11), ("vgg13", 13), ("vgg16", 16), ("vgg19", 19)])
def test_the_name_counts_the_layers_with_weights(name, depth):
    for head, layers in (("imagenet", depth), ("small", depth - 1)):
        net = nets.create(name, width=1, head=head)
        net(IMAGES)
        assert sum(v.path.endswith("kernel") for v in net.trainable_variables) == layers


def test_each_block_halves_an_image_and_the_channels_double_up_to_the_fourth():
    net = nets.create("vgg11", width=2)
    for side in (32, 28):
        x, shapes = IMAGES[:, :side, :side], []
        for i in range(1, 6):
            x = getattr(net, f"block{i}")(x)
            shapes.append(tuple(x.shape[1:]))
        sides = (16, 8, 4, 2, 1) if side == 32 else (14, 7, 4, 2, 1)
        assert shapes == [(side, side, 2 * m) for side, m in zip(sides, (1, 2, 4, 8, 8), strict=True)]


def test_batch_normalisation_takes_the_place_of_the_bias():
    net = nets.create("vgg11", width=2, batch_norm=True)
    net(IMAGES)
    names = [v.path.rsplit("/", 1)[1] for v in net.trainable_variables]
    assert names.count("gamma") == names.count("beta") == 9  # 8 convolutions, one dense layer
    assert names.count("bias") == 1  # of the logits


def test_l2_is_the_sum_of_squares_of_all_kernels():
    net = nets.create("vgg11", width=2, l2=5e-4, batch_norm=True)
    net(IMAGES)
    squares = sum(np.sum(np.square(v)) for v in net.trainable_variables if v.path.endswith("kernel"))
    assert float(sum(net.losses)) == pytest.approx(5e-4 * squares, rel=1e-5)
    plain = nets.create("vgg11", width=2)
    plain(IMAGES)
    assert plain.losses == []


def test_dropout_lies_between_the_convolutions_of_each_block_with_its_fraction():
    net = nets.create("vgg16", width=1, conv_dropout=(0.3, 0.4, 0.4, 0.4, 0.5), dropout=0.25)
    net(IMAGES)
    parts = [*(getattr(net, f"block{i}") for i in range(1, 6)), net.head]
    rates = [[layer.rate for layer in part.layers if isinstance(layer, keras.layers.Dropout)] for part in parts]
    assert rates == [[0.3], [0.4], [0.4] * 2, [0.4] * 2, [0.5] * 2, [0.25]]
    block = net.block1.layers  # the last convolution feeds the pool undropped
    assert isinstance(block[-1], keras.layers.MaxPooling2D)
    assert isinstance(block[-2], keras.layers.ReLU)
