"""What Radford et al. ask of a DCGAN, section 3."""

import numpy as np
import pytest
import tensorflow as tf

import nets

every_side = pytest.mark.parametrize("side, smallest", [(28, 7), (32, 4), (64, 4)])


def kernels(net):
    return [v for v in net.trainable_variables if v.path.endswith("kernel")]


@every_side
def test_widths_double_towards_the_small_side(side, smallest):
    generator = nets.create("dcgan-generator", latent_dim=3, side=side, channels=3, width=2)
    discriminator = nets.create("dcgan-discriminator", side=side, channels=3, width=2)
    images = generator(tf.zeros([1, 3]))
    discriminator(images)
    steps = {28: 2, 32: 3, 64: 4}[side]
    deepest = 2 ** steps
    assert images.shape == (1, side, side, 3)
    assert side == smallest * 2**steps
    assert kernels(generator)[0].shape == (3, smallest**2 * deepest)
    down = [tuple(v.shape) for v in kernels(discriminator)]
    assert down == [*((4, 4, 3 if i == 0 else 2**i, 2 ** (i + 1)) for i in range(steps)), (smallest**2 * deepest, 1)]


@every_side
def test_batch_normalisation_is_everywhere_but_at_the_images(side, smallest):
    for name in ("dcgan-generator", "dcgan-discriminator"):
        net = nets.create(name, side=side, width=2)
        net(tf.zeros([1, *((100,) if name == "dcgan-generator" else (side, side, 1))]))
        scales = [v for v in net.trainable_variables if v.path.endswith("gamma")]
        biases = [v for v in net.trainable_variables if v.path.endswith("bias")]
        assert len(scales) == len(kernels(net)) - (1 if name == "dcgan-generator" else 2)
        assert len(biases) == len(kernels(net)) - len(scales)  # a bias where there is no normalisation


@pytest.mark.parametrize("name, inputs", [("dcgan-generator", (100,)), ("dcgan-discriminator", (28, 28, 1))])
def test_weights_come_from_a_normal_of_deviation_002(name, inputs):
    net = nets.create(name)
    net(tf.zeros([1, *inputs]))
    for kernel in kernels(net):
        assert np.std(kernel) == pytest.approx(0.02, rel=4 / np.sqrt(kernel.shape.num_elements()))
        assert np.max(np.abs(kernel)) > 0.042 or kernel.shape.num_elements() < 2000  # not cut off at 2 sigma


def test_images_lie_in_minus_one_to_one_and_logits_do_not():
    generator = nets.create("dcgan-generator", latent_dim=3)
    for z in (tf.zeros([2, 3]), tf.fill([2, 3], 1e6)):
        assert np.all(np.abs(generator(z)) <= 1)
    discriminator = nets.create("dcgan-discriminator", width=4)
    assert np.max(np.abs(discriminator(tf.random.stateless_normal([2, 28, 28, 1], [0, 0]) * 1e4))) > 1


def test_the_slope_below_zero_is_a_fifth():
    discriminator = nets.create("dcgan-discriminator", width=1)
    images = tf.ones([1, 28, 28, 1])
    discriminator(images)
    first, logit = discriminator.down0, discriminator.logit
    logit.kernel.assign(tf.ones_like(logit.kernel))
    outputs = []
    for sign in (1.0, -1.0):
        first.kernel.assign(tf.fill(first.kernel.shape, sign / 16))
        discriminator.down1.kernel.assign(tf.fill(discriminator.down1.kernel.shape, sign))
        outputs.append(float(discriminator(images)[0]))
    assert outputs[1] == pytest.approx(outputs[0] / 5, rel=1e-5)  # -1 -> -0.2, times -1: positive from there on


@pytest.mark.parametrize("side", [30, "64x", True])
def test_another_side_is_refused(side):
    for name in ("dcgan-generator", "dcgan-discriminator"):
        with pytest.raises(ValueError, match=rf"^`side` \({side}\) must be one of 28, 32, 64; nearest: "):
            nets.create(name, side=side)
