"""The GAN's two players, of each kind, on a linear discriminator."""

import keras
import numpy as np
import pytest

from engine import ArraySource, Invalid, Noise, Trainer
from engine.testing import try_phase
from losses.strategies import GAN
from tests import references
from tests.strategies.small_nets import IMAGES, CriticOf, generator

KERNEL = np.array([0.5, -1.0, 0.25, 2.0])
KINDS = {
    "non-saturating": (references.non_saturating_discriminator, references.non_saturating_generator),
    "minimax": (references.non_saturating_discriminator, references.minimax_generator),
    "least-squares": (references.least_squares_discriminator, references.least_squares_generator),
    "hinge": (references.hinge_discriminator, references.hinge_generator),
}


def players():
    return {"discriminator": CriticOf(KERNEL), "generator": generator()}


def generated(nets, phase, update):
    """What the strategy generates in one update, [6, 4]."""
    return nets["generator"](Noise(0, phase, update, 6).normal("z", [3])).numpy().reshape(6, 4).astype("float64")


@pytest.mark.parametrize("kind", KINDS)
def test_the_discriminator_sees_real_and_generated_images_in_one_range(kind):
    nets = players()
    tried = try_phase(GAN(kind, latent_dim=3), "discriminator", nets, {"image": IMAGES}, update=2)
    real = (2.0 * IMAGES.reshape(6, 4).astype("float64") - 1.0) @ KERNEL
    fake = generated(nets, "discriminator", 2) @ KERNEL
    assert tried.means["adversarial"] == pytest.approx(KINDS[kind][0](real, fake).mean(), rel=1e-5)
    assert tried.means["objective"] == pytest.approx(tried.means["adversarial"], rel=1e-6)  # scores are watched only
    assert tried.means["real_score"] == pytest.approx(real.mean(), rel=1e-4)
    assert tried.means["fake_score"] == pytest.approx(fake.mean(), rel=1e-4)
    assert list(tried.gradients) == [f"discriminator/{nets['discriminator'].trainable_variables[0].path}"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_generator_draws_anew_and_moves_alone(kind):
    nets = players()
    tried = try_phase(GAN(kind, latent_dim=3), "generator", nets, {"image": IMAGES}, update=2)
    fake = generated(nets, "generator", 2) @ KERNEL
    assert not np.allclose(fake, generated(nets, "discriminator", 2) @ KERNEL)
    assert tried.means["adversarial"] == pytest.approx(KINDS[kind][1](fake).mean(), rel=1e-4)
    assert all(path.startswith("generator/") for path in tried.gradients)


def test_metrics_are_both_losses_and_pictures_are_in_range():
    nets, strategy = players(), GAN("hinge", latent_dim=3)
    metrics = strategy.metrics(nets, {"image": IMAGES}, Noise(examples=6))
    real = (2.0 * IMAGES.reshape(6, 4).astype("float64") - 1.0) @ KERNEL
    images = generated(nets, "", 0)
    np.testing.assert_allclose(metrics["discriminator_loss"],
                               references.hinge_discriminator(real, images @ KERNEL), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(metrics["generator_loss"], -images @ KERNEL, rtol=1e-4, atol=1e-6)
    samples = strategy.pictures(nets, {"image": IMAGES}, Noise(examples=6))["samples"]
    np.testing.assert_allclose(samples, (0.5 * images + 0.5).reshape(6, 2, 2, 1), rtol=1e-5)


def test_discriminator_updates_each_read_a_batch():
    nets = players()
    updates = {name: keras.optimizers.Adam() for name in nets}
    trainer = Trainer(GAN(latent_dim=3, discriminator_updates=2), nets, updates, ArraySource({"image": IMAGES}, 2))
    trainer.train(cycles=3)
    assert trainer.counters.updates == {"discriminator": 6, "generator": 3}
    assert trainer.counters.batches == 6


@pytest.mark.parametrize("options, text", [
    ({"kind": "wasserstein"}, r"`kind` \(wasserstein\) must be one of non-saturating, minimax, least-squares, hinge"),
    ({"latent_dim": 0}, r"`latent_dim` \(0\) must be an integer of at least 1"),
    ({"discriminator_updates": 0}, r"`discriminator_updates` \(0\) must be an integer of at least 1"),
])
def test_options_out_of_range(options, text):
    with pytest.raises(Invalid, match=text):
        GAN(**options)
