"""What a WGAN-GP asks of its generators and critics."""

import numpy as np
import pytest
import tensorflow as tf

import nets

SHAPES = {"critic28": (28, 28, 1), "critic64": (64, 64, 3)}
every_critic = pytest.mark.parametrize("name", SHAPES)


def images(name, size, seed=0):
    return tf.constant(np.random.default_rng(seed).uniform(-1, 1, (size, *SHAPES[name])).astype("float32"))


@pytest.mark.parametrize("name", ["generator28", "generator64"])
def test_generated_images_lie_in_minus_one_to_one(name):
    generator = nets.create(name, latent_dim=3)
    for z in (tf.zeros([2, 3]), tf.fill([2, 3], 1e4)):
        pixels = generator(z, training=False).numpy()
        assert np.all(np.abs(pixels) <= 1)


@every_critic
@pytest.mark.parametrize("normalization, apart", [("layer", True), ("none", True), ("batch", False)])
def test_only_batch_normalisation_makes_a_score_depend_on_the_other_images(name, normalization, apart):
    critic = nets.create(name, normalization=normalization)
    first, others = images(name, 1), [images(name, 3, seed) for seed in (1, 2)]
    one, two = (critic(tf.concat([first, 3 * rest], axis=0), training=True)[0] for rest in others)
    assert np.allclose(one, two, rtol=1e-3, atol=1e-4) == apart


@every_critic
@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_gradient_penalty_reaches_every_kernel(name, jit_compile):
    critic = nets.create(name)
    critic(images(name, 2))
    kernels = [variable for variable in critic.trainable_variables if variable.path.endswith("kernel")]
    weights = [kernel.value for kernel in kernels]  # a derivative may not know a bias: the score's it never does

    @tf.function(jit_compile=jit_compile, input_signature=[tf.TensorSpec([None, *SHAPES[name]])])
    def penalty_gradient(points):
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(points)
                scores = critic(points, training=True)
            derivatives = inner.gradient(scores, points)
            penalty = tf.reduce_mean((tf.sqrt(tf.reduce_sum(derivatives**2, axis=[1, 2, 3]) + 1e-12) - 1) ** 2)
        return outer.gradient(penalty, weights)

    for gradient, kernel in zip(penalty_gradient(images(name, 3)), kernels, strict=True):
        assert np.all(np.isfinite(gradient)), kernel.path
        assert np.max(np.abs(gradient)) > 0, kernel.path
