"""The clipped WGAN, and the target and the side of the gradient penalty."""

import keras
import numpy as np
import pytest

from engine import ArraySource, Invalid, Noise, Trainer, Update
from engine.testing import try_phase
from losses.strategies import WGAN, WGANGP
from tests.strategies.small_nets import IMAGES, CriticOf, generator

KERNEL = [3.0, 0.0, -4.0, 0.0]  # of gradient norm 5


def players():
    return {"critic": CriticOf(KERNEL), "generator": generator()}


def test_the_critic_of_a_wgan_minimises_the_wasserstein_term_alone():
    nets = players()
    tried = try_phase(WGAN(latent_dim=3), "critic", nets, {"image": IMAGES}, update=2)
    fake = nets["generator"](Noise(0, "critic", 2, 6).normal("z", [3])).numpy().reshape(6, 4)
    real = 2 * IMAGES.reshape(6, 4) - 1
    assert list(tried.means) == ["objective", "wasserstein", "gradient_norm"]
    assert tried.means["objective"] == pytest.approx(((fake - real) @ KERNEL).mean(), rel=1e-4)
    np.testing.assert_allclose(next(iter(tried.gradients.values())), (fake - real).mean(axis=0), rtol=1e-4, atol=1e-6)


def test_a_linear_critic_of_a_clipped_wgan_ends_at_its_bounds():
    # Its best weights are at the bound, with the sign of the difference of the means: then the estimate is
    # 0.01 times the sum of the differences' sizes.
    nets = players()
    nets["generator"].build((2, 3))
    for variable in nets["generator"].variables:
        variable.assign(variable * 0.0)  # makes grey: 0 in [-1, 1]
    images = np.tile(np.array([1.0, 0.0, 0.75, 0.25], "float32").reshape(1, 2, 2, 1), (6, 1, 1, 1))
    updates = {"critic": Update(keras.optimizers.RMSprop(0.01), clip_weights=0.01),
               "generator": keras.optimizers.SGD(1e-9)}
    trainer = Trainer(WGAN(latent_dim=3), nets, updates, ArraySource({"image": images}, 2))
    trainer.train(cycles=2)
    assert trainer.counters.updates == {"critic": 10, "generator": 2}
    np.testing.assert_allclose(nets["critic"].kernel.numpy(), [0.01, -0.01, 0.01, -0.01], rtol=1e-6)
    found = trainer.evaluate(ArraySource({"image": images}, 3))["wasserstein_estimate"]
    assert found == pytest.approx(0.01 * (1 + 1 + 0.5 + 0.5), rel=1e-4)


@pytest.mark.parametrize("target, one_sided, penalty", [
    (1.0, False, 16.0), (0.0, False, 25.0), (2.0, True, 9.0), (6.0, False, 1.0), (6.0, True, 0.0)])
def test_the_penalty_has_a_target_and_one_or_two_sides(target, one_sided, penalty):
    strategy = WGANGP(latent_dim=3, penalty_weight=2.0, target=target, one_sided=one_sided)
    tried = try_phase(strategy, "critic", players(), {"image": IMAGES})
    assert tried.means["gradient_penalty"] == pytest.approx(penalty, rel=1e-5)
    assert tried.means["objective"] == pytest.approx(tried.means["wasserstein"] + 2.0 * penalty, rel=1e-5)


@pytest.mark.parametrize("make, text", [
    (lambda: WGAN(latent_dim=0), r"`latent_dim` \(0\) must be an integer of at least 1"),
    (lambda: WGAN(critic_updates=0), r"`critic_updates` \(0\) must be an integer of at least 1"),
    (lambda: WGANGP(target=-1.0), r"`target` \(-1.0\) must be at least 0"),
])
def test_options_out_of_range(make, text):
    with pytest.raises(Invalid, match=text):
        make()
