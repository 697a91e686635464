"""The interface that the two autoencoders share."""

import numpy as np
import pytest
import tensorflow as tf

import nets

both = pytest.mark.parametrize("name", ["dense-autoencoder", "conv-autoencoder"])
IMAGES = tf.constant(np.random.default_rng(0).random((3, 28, 28, 1), dtype="float32"))


@both
def test_call_decodes_the_code(name):
    net = nets.create(name, latent_dim=5)
    code = net.encode(IMAGES)
    assert code.shape == (3, 5)
    np.testing.assert_allclose(net(IMAGES), net.decode(code), rtol=1e-6, atol=1e-6)


@both
def test_all_that_is_known_of_an_image_goes_through_the_code(name):
    net = nets.create(name, latent_dim=2)
    net(IMAGES)
    net.encoder_output.kernel.assign(tf.zeros_like(net.encoder_output.kernel))
    assert np.ptp(net(IMAGES), axis=0).max() == 0  # every image alike


@both
def test_codes_of_another_size_are_refused(name):
    with pytest.raises(ValueError, match=r"^`code` \(3, 4\) must be of shape \[B, 5\]$"):
        nets.create(name, latent_dim=5).decode(tf.zeros([3, 4]))


@both
def test_the_two_nets_build_apart_and_in_a_graph(name):
    net = nets.create(name, latent_dim=5)
    decode = tf.function(net.decode, input_signature=[tf.TensorSpec([None, 5])])
    assert decode(tf.zeros([2, 5])).shape == (2, 28, 28, 1)
    assert decode(tf.zeros([7, 5])).shape == (7, 28, 28, 1)


def test_without_hidden_layers_the_dense_one_is_a_product_of_two_matrices():
    net = nets.create("dense-autoencoder", latent_dim=3, hidden=(), image_shape=(4, 4, 1))
    images = IMAGES[:, :4, :4]
    logits = net(images)
    down, up = net.encoder_output.kernel.numpy(), net.decoder_output.kernel.numpy()
    np.testing.assert_allclose(np.reshape(logits, [3, 16]), np.reshape(images, [3, 16]) @ down @ up, rtol=1e-4,
                               atol=1e-5)


def test_the_decoder_mirrors_the_encoder():
    net = nets.create("dense-autoencoder", hidden=(30, 20), latent_dim=10)
    net(IMAGES)
    kernels = [tuple(v.shape) for v in net.trainable_variables if v.path.endswith("kernel")]
    assert sorted(kernels) == sorted([(784, 30), (30, 20), (20, 10), (10, 20), (20, 30), (30, 784)])
