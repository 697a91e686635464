"""The interface that the two VAEs share."""

import numpy as np
import pytest
import tensorflow as tf

import nets

both = pytest.mark.parametrize("name", ["dense-vae", "conv-vae"])
IMAGES = tf.constant(np.random.default_rng(0).random((3, 28, 28, 1), dtype="float32"))


@both
def test_call_is_the_reconstruction_from_the_mean(name):
    vae = nets.create(name, latent_dim=5)
    mean, log_var = vae.encode(IMAGES)
    assert mean.shape == log_var.shape == (3, 5)
    assert not np.allclose(mean, log_var)
    np.testing.assert_allclose(vae(IMAGES), vae.decode(mean), rtol=1e-6, atol=1e-6)


@both
def test_log_var_moves_the_encoder_alone(name):
    vae = nets.create(name, latent_dim=5)
    vae(IMAGES)
    with tf.GradientTape() as tape:
        objective = tf.reduce_sum(vae.encode(IMAGES, training=True)[1])
    moved = [
        variable.path.split("/")[1]
        for variable, gradient in zip(
            vae.trainable_variables, tape.gradient(objective, vae.trainable_variables), strict=True
        )
        if gradient is not None
    ]
    assert len(moved) == len(vae.trainable_variables) - (4 if name == "dense-vae" else 6)


@both
def test_codes_of_another_size_are_refused(name):
    with pytest.raises(ValueError, match=r"^`z` \(3, 4\) must be of shape \[B, 5\]$"):
        nets.create(name, latent_dim=5).decode(tf.zeros([3, 4]))


@both
def test_the_two_nets_build_apart_and_in_a_graph(name):
    vae = nets.create(name, latent_dim=5)
    decode = tf.function(vae.decode, input_signature=[tf.TensorSpec([None, 5])])
    assert decode(tf.zeros([2, 5])).shape == (2, 28, 28, 1)
    assert decode(tf.zeros([7, 5])).shape == (7, 28, 28, 1)
