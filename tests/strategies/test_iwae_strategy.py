"""The importance-weighted bound: the VAE's with one sample, the likelihood with many."""

import numpy as np
import pytest

from engine import Invalid, Noise
from engine.testing import try_phase
from losses.strategies import IWAE, VAE
from tests.strategies.small_nets import IMAGES, ConstantVAE

MANY = np.tile(IMAGES[:1], (4000, 1, 1, 1))


def net(scale=0.0):
    """Decodes z to logits of ``scale`` times its sum."""
    made = ConstantVAE()
    made.scale.assign(scale)
    return {"vae": made}


def log_weights(nets, draws, image):
    """log p(x | z) + log p(z) - log q(z | x) in NumPy, with the densities as formulas; draws [..., 2]."""
    z = 0.5 + np.exp(-0.5) * draws
    p = 1.0 / (1.0 + np.exp(-float(nets["vae"].scale) * z.sum(axis=-1)))[..., None]
    x = image.reshape(*image.shape[:1], *[1] * (draws.ndim - 2), 4)
    likelihood = (x * np.log(p) + (1.0 - x) * np.log(1.0 - p)).sum(axis=-1)
    prior = np.log(np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)).sum(axis=-1)
    posterior = np.log(np.exp(-(draws**2) / 2) / np.sqrt(2 * np.pi * np.exp(-1))).sum(axis=-1)
    return likelihood + prior - posterior


@pytest.mark.parametrize("samples", [1, 4])
def test_the_bound_is_the_log_of_the_mean_weight(samples):
    nets = net(0.7)
    tried = try_phase(IWAE(samples), "bound", nets, {"image": IMAGES}, update=2)
    draws = Noise(0, "bound", 2, 6).normal("z", [samples, 2]).numpy().astype("float64")
    expected = -np.log(np.exp(log_weights(nets, draws, IMAGES)).mean(axis=1))
    assert tried.means["importance_weighted_nll"] == pytest.approx(expected.mean(), rel=1e-5)
    assert tried.means["objective"] == pytest.approx(expected.mean(), rel=1e-5)


def test_with_one_sample_it_is_the_vaes_bound_with_the_kl_of_that_sample():
    nets, batch = net(0.7), {"image": IMAGES}
    found = IWAE(1).metrics(nets, batch, Noise(examples=6))
    vae = VAE().metrics(nets, batch, Noise(examples=6))  # draws the same z
    draws = Noise(examples=6).normal("z", [2]).numpy().astype("float64")
    z = 0.5 + np.exp(-0.5) * draws
    kl_of_sample = 0.5 * (z**2 - draws**2 + 1.0).sum(axis=1)  # log q - log p, log_var -1
    np.testing.assert_allclose(found["importance_weighted_nll"], vae["reconstruction"] + kl_of_sample, rtol=1e-5)
    np.testing.assert_allclose(found["negative_elbo"], found["importance_weighted_nll"], rtol=1e-6)


def test_with_one_sample_it_is_the_vaes_bound_in_expectation_and_so_is_its_gradient():
    nets, batch = net(0.7), {"image": MANY}
    found = IWAE(1).metrics(nets, batch, Noise(examples=4000))["importance_weighted_nll"].numpy()
    vae = VAE().metrics(nets, batch, Noise(examples=4000))["negative_elbo"].numpy()
    assert abs(np.mean(found - vae)) < 4 * np.std(found - vae) / np.sqrt(4000)
    ours, theirs = (try_phase(strategy, phase, nets, batch).gradients
                    for strategy, phase in ((IWAE(1), "bound"), (VAE(), "elbo")))
    assert list(ours) == list(theirs) and len(ours) == 3
    for path in ours:
        np.testing.assert_allclose(ours[path], theirs[path], atol=0.06)


def test_more_samples_tighten_the_bound_to_the_likelihood():
    # The decoder says 1/2 for every pixel whatever z is: the likelihood is 4 log 2. Of q = N(0.5, 1) in two
    # dimensions the KL is 1/4, which is the VAE's gap; of k samples it is about (e^(1/2) - 1) / 2k, half the
    # variance of a weight over k.
    nets, batch = net(), {"image": MANY}
    nets["vae"].log_var.assign([0.0, 0.0])
    gaps = {k: float(np.mean(IWAE(k).metrics(nets, batch, Noise(examples=4000))["importance_weighted_nll"]))
            - 4 * np.log(2) for k in (1, 5, 50)}
    assert gaps[1] == pytest.approx(0.25, abs=4 * 0.5**0.5 / 4000**0.5)  # log w has the variance 1/2
    assert gaps[1] > gaps[5] > gaps[50]
    assert gaps[50] == pytest.approx((np.exp(0.5) - 1) / 100, abs=4 * (0.65 / 50 / 4000) ** 0.5)
    metrics = IWAE(50).metrics(nets, batch, Noise(examples=4000))
    assert np.all(metrics["negative_elbo"] > metrics["importance_weighted_nll"])
    assert np.mean(metrics["negative_elbo"]) - 4 * np.log(2) == pytest.approx(0.25, abs=0.01)


def test_pictures_are_the_vaes():
    found = IWAE().pictures(net(0.7), {"image": IMAGES}, Noise(examples=6))
    expected = VAE().pictures(net(0.7), {"image": IMAGES}, Noise(examples=6))
    assert list(found) == ["samples", "reconstructions"]
    for name in found:
        np.testing.assert_array_equal(found[name], expected[name])


def test_samples_have_a_range():
    with pytest.raises(Invalid, match=r"^`samples` \(0\) must be an integer of at least 1$"):
        IWAE(0)
