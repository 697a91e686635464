"""Every shipped strategy through the engine: it learns."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import losses.strategies as shipped
from engine import ArraySource, Noise, Trainer, Update
from engine.noise import key
from tests.strategies.small_nets import generator, linear

DRAW = np.random.default_rng(0)
SIDES = DRAW.integers(0, 2, 64)
IMAGES = (0.1 + 0.8 * SIDES[:, None, None, None] * np.ones([64, 2, 2, 1])).astype("float32")  # all dark or all light
TOKENS = (SIDES[:, None] * np.ones([64, 3])).astype("int32")
DATA = {"image": IMAGES, "label": SIDES.astype("int32"), "tokens": TOKENS, "x": IMAGES.reshape(64, 4),
        "y": IMAGES.reshape(64, 4)[:, :2]}


class SmallVAE(keras.Model):
    """Four pixels, two latent numbers."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = linear(4, DRAW.normal(size=(4, 4))), keras.layers.Dense(4)

    def encode(self, images, training=False):
        return keras.ops.split(self.encoder(images), 2, axis=-1)

    def decode(self, z, training=False):
        return keras.ops.reshape(self.decoder(z), [-1, 2, 2, 1])


class Score(keras.Model):
    """One score [B]."""

    def __init__(self):
        super().__init__()
        self.hidden, self.out = linear(8, DRAW.normal(size=(4, 8))), keras.layers.Dense(1)

    def call(self, images, training=False):
        return self.out(keras.ops.tanh(self.hidden(images)))[:, 0]


def reader():
    """One logit [B] from tokens."""
    return keras.Sequential([keras.layers.Embedding(2, 4), keras.layers.Flatten(), keras.layers.Dense(1),
                             keras.layers.Reshape(())])


def narrow():
    """Four pixels by way of two numbers."""
    return keras.Sequential([linear(2, DRAW.normal(size=(4, 2))), keras.layers.Dense(4),
                             keras.layers.Reshape((2, 2, 1))])


CASES = {
    "Supervised": (lambda: shipped.Supervised(0.1, 0.2, [1.0, 2.0]), lambda: {"classifier": linear(2)},
                   "cross_entropy"),
    "Autoencoder": (shipped.Autoencoder, lambda: {"autoencoder": narrow()}, "squared_error"),
    "VAE": (shipped.VAE, lambda: {"vae": SmallVAE()}, "negative_elbo"),
    "IWAE": (lambda: shipped.IWAE(3), lambda: {"vae": SmallVAE()}, "importance_weighted_nll"),
    "GAN": (lambda: shipped.GAN(latent_dim=3), lambda: {"discriminator": Score(), "generator": generator()}, None),
    "WGAN": (lambda: shipped.WGAN(3), lambda: {"critic": Score(), "generator": generator()}, None),
    "WGANGP": (lambda: shipped.WGANGP(3, one_sided=True), lambda: {"critic": Score(), "generator": generator()}, None),
    "Binary": (shipped.Binary, lambda: {"classifier": reader()}, "cross_entropy"),
    "Regression": (lambda: shipped.Regression("huber"), lambda: {"regressor": linear(2)}, "squared_error"),
}


def trainer_of(name):
    """A trainer with nets that are always the same."""
    keras.utils.set_random_seed(0)
    DRAW.bit_generator.state = np.random.default_rng(1).bit_generator.state
    strategy, nets, _ = CASES[name]
    made = strategy()
    updates = {phase.name: Update(keras.optimizers.Adam(0.02), clip_weights=1.0) for phase in made.phases()}
    return Trainer(made, nets(), updates, ArraySource(DATA, 16))


@pytest.mark.parametrize("name", shipped.__all__)
def test_it_learns(name):
    trainer, held_out, falls = trainer_of(name), ArraySource(DATA, 32), CASES[name][2]
    before = trainer.evaluate(held_out)
    trainer.train(cycles=20)
    after = trainer.evaluate(held_out)
    assert all(np.isfinite(value) for value in after.values()) and after != before
    assert falls is None or after[falls] < 0.95 * before[falls]


@pytest.mark.parametrize("name", ["Supervised", "IWAE"])  # those that move examples about: a roll, copies
def test_xla_gives_the_same_terms(name):
    strategy, nets = CASES[name][0](), CASES[name][1]()
    loss = strategy.phases()[0].loss
    batch = {each: tf.constant(values[:16]) for each, values in DATA.items()}
    noise = Noise(examples=16)
    expected = loss(nets, batch, noise)
    drawn = {each: request.draw(key(0, "", 0, each), 16) for each, request in noise.requests.items()}
    compiled = tf.function(lambda batch, drawn: loss(nets, batch, Noise(examples=16, drawn=drawn)), jit_compile=True)
    found = compiled(batch, drawn)
    assert list(found) == list(expected)
    for term in expected:
        assert found[term].shape == [16]
        np.testing.assert_allclose(found[term], expected[term], rtol=1e-5, atol=1e-6)


def test_every_shipped_strategy_is_in_the_table():
    assert sorted(CASES) == sorted(shipped.__all__)
