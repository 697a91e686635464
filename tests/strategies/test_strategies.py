"""Each shipped strategy against numbers worked out from its definition."""

import keras
import numpy as np
import pytest

from engine import ArraySource, Invalid, Noise, Trainer
from engine.testing import try_phase
from losses.strategies import VAE, WGANGP, Supervised
from tests.strategies.small_nets import IMAGES, LABELS, ConstantVAE, CriticOf, generator, linear


# Equal logits of 3 classes: cross-entropy log 3 for every label, also for smoothed ones; argmax takes class 0.
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_supervised_with_equal_logits(smoothing):
    tried = try_phase(Supervised(smoothing), "classifier", {"classifier": linear(3)},
                      {"image": IMAGES, "label": LABELS})
    assert tried.means["cross_entropy"] == pytest.approx(np.log(3))
    assert tried.means["objective"] == pytest.approx(np.log(3))  # accuracy is watched only
    assert tried.means["accuracy"] == pytest.approx(1 / 3)


def test_supervised_smoothes_in_training_and_not_in_metrics():
    kernel = np.random.default_rng(1).normal(size=(4, 3)) * 3
    logits = IMAGES.reshape(6, 4).astype("float64") @ kernel
    log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    own, mean = log_probs[np.arange(6), LABELS], log_probs.mean(axis=1)
    batch, nets = {"image": IMAGES, "label": LABELS}, {"classifier": linear(3, kernel)}
    tried = try_phase(Supervised(0.2), "classifier", nets, batch)
    assert tried.means["cross_entropy"] == pytest.approx(-(0.8 * own + 0.2 * mean).mean(), rel=1e-5)
    metrics = Supervised(0.2).metrics(nets, batch, Noise(examples=6))
    np.testing.assert_allclose(metrics["cross_entropy"], -own, rtol=1e-4)
    np.testing.assert_array_equal(metrics["accuracy"], logits.argmax(axis=1) == LABELS)


# KL per dimension of N(0.5, e^-1) to N(0, 1): (0.25 + e^-1 - 1 + 1) / 2. Reconstruction: 4 pixels of log 2.
KL = (0.25 + np.exp(-1)) / 2


@pytest.mark.parametrize("beta, weight", [(1.0, 1.0), (4.0, 4.0), (0.0, 0.0),
                                          (keras.optimizers.schedules.PolynomialDecay(0.0, 10, 2.0), 0.6)])
def test_vae_objective_is_reconstruction_plus_weighted_kl(beta, weight):
    tried = try_phase(VAE(beta), "elbo", {"vae": ConstantVAE()}, {"image": IMAGES}, update=3)
    assert tried.means["reconstruction"] == pytest.approx(4 * np.log(2), rel=1e-6)
    assert tried.means["kl"] == pytest.approx(2 * KL, rel=1e-6)
    assert tried.means["objective"] == pytest.approx(4 * np.log(2) + weight * 2 * KL, rel=1e-6)


def test_vae_free_bits_is_a_floor_per_dimension_without_gradient_below_it():
    tried = try_phase(VAE(free_bits=0.7), "elbo", {"vae": ConstantVAE()}, {"image": IMAGES})
    assert tried.means["kl"] == pytest.approx(1.4, rel=1e-6)
    moved = {path.split("/")[-1]: gradient for path, gradient in tried.gradients.items()}
    np.testing.assert_array_equal(moved["mean"], [0.0, 0.0])


def test_vae_metrics_are_the_bound_itself_and_its_pictures_are_pictures():
    strategy, nets = VAE(beta=4.0, free_bits=0.7), {"vae": ConstantVAE()}
    metrics = strategy.metrics(nets, {"image": IMAGES}, Noise(examples=6))
    np.testing.assert_allclose(metrics["negative_elbo"], 4 * np.log(2) + 2 * KL, rtol=1e-6)
    pictures = strategy.pictures(nets, {"image": IMAGES}, Noise(examples=6))
    assert pictures["samples"].shape == (6, 2, 2, 1)
    np.testing.assert_array_equal(pictures["reconstructions"][::2], IMAGES)
    np.testing.assert_allclose(pictures["reconstructions"][1::2], 0.5)


def test_wgan_gp_critic_terms_of_a_linear_critic():
    kernel = [3.0, 0.0, -4.0, 0.0]  # gradient norm 5: penalty (5 - 1)^2 = 16 at any mix
    nets = {"critic": CriticOf(kernel), "generator": generator()}
    tried = try_phase(WGANGP(latent_dim=3, penalty_weight=10.0), "critic", nets, {"image": IMAGES}, seed=1, update=2)
    fake = nets["generator"](Noise(1, "critic", 2, 6).normal("z", [3])).numpy().reshape(6, 4)
    real = 2 * IMAGES.reshape(6, 4) - 1
    assert tried.means["gradient_penalty"] == pytest.approx(16.0, rel=1e-5)
    assert tried.means["wasserstein"] == pytest.approx(((fake - real) @ kernel).mean(), rel=1e-4)
    assert tried.means["objective"] == pytest.approx(tried.means["wasserstein"] + 160.0, rel=1e-5)
    # d/dw of (|w| - 1)^2 is 2 (|w| - 1) w / |w|
    expected = (fake - real).mean(axis=0) + 10 * 2 * 4 * np.array(kernel) / 5
    np.testing.assert_allclose(next(iter(tried.gradients.values())), expected, rtol=1e-4, atol=1e-5)


def test_wgan_gp_generator_minimises_minus_the_score_and_moves_the_generator_alone():
    kernel = [1.0, 2.0, 3.0, 4.0]
    nets = {"critic": CriticOf(kernel), "generator": generator()}
    tried = try_phase(WGANGP(latent_dim=3), "generator", nets, {"image": IMAGES}, update=4)
    fake = nets["generator"](Noise(0, "generator", 4, 6).normal("z", [3])).numpy().reshape(6, 4)
    assert tried.means["wasserstein"] == pytest.approx(-(fake @ kernel).mean(), rel=1e-5)
    assert all(path.startswith("generator/") for path in tried.gradients)


def test_wgan_gp_takes_its_options_into_the_cycle():
    nets = {"critic": CriticOf([1.0, 0, 0, 0]), "generator": generator()}
    adam = keras.optimizers.Adam
    trainer = Trainer(WGANGP(latent_dim=3, critic_updates=3), nets, {"critic": adam(), "generator": adam()},
                      ArraySource({"image": IMAGES}, 2))
    trainer.train(cycles=4)
    assert trainer.counters.updates == {"critic": 12, "generator": 4}
    metric = trainer.evaluate(ArraySource({"image": IMAGES}, 4))["wasserstein_estimate"]
    assert np.isfinite(metric)


@pytest.mark.parametrize("make, text", [
    (lambda: VAE(beta=-1.0), r"`beta` \(-1.0\) must be at least 0, or a schedule"),
    (lambda: VAE(free_bits=-0.1), r"`free_bits` \(-0.1\) must be at least 0 nats"),
    (lambda: WGANGP(latent_dim=0), r"`latent_dim` \(0\) must be an integer of at least 1"),
    (lambda: WGANGP(penalty_weight=-1), r"`penalty_weight` \(-1\) must be at least 0"),
    (lambda: WGANGP(critic_updates=0), r"`critic_updates` \(0\) must be an integer of at least 1"),
])
def test_options_out_of_range(make, text):
    with pytest.raises(Invalid, match=text):
        make()
