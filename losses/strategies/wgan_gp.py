"""WGAN-GP: Wasserstein critic with gradient penalty (Gulrajani et al. 2017, algorithm 1)."""

from functools import partial
from typing import ClassVar

from engine.errors import require
from engine.strategy import Batch, Nets, Noise, Phase, Terms
from losses.adversarial import wasserstein_critic
from losses.penalty import gradient_penalty
from losses.strategies.wgan import WGAN


class WGANGP(WGAN):
    """A ``WGAN`` whose critic is kept Lipschitz by a penalty on its gradient norm, and not by clipping.

    Nets, batch, generator, metrics and pictures are those of ``WGAN``.

    Args:
      latent_dim: Dimensions of the standard normal latent.
      penalty_weight: Factor of the gradient penalty (lambda in the paper).
      critic_updates: Critic updates per generator update.
      target: The gradient norm that costs nothing, in units of the score per unit of the image; 1 in the paper.
      one_sided: Whether gradient norms below ``target`` are free (section 4 of the paper; Petzka et al. 2018).
    """

    ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "image": (0.0, 1.0), "gradient_penalty": (0.0, float("inf"))}

    def __init__(self, latent_dim: int = 64, penalty_weight: float = 10.0, critic_updates: int = 5,
                 target: float = 1.0, one_sided: bool = False) -> None:
        super().__init__(latent_dim, critic_updates)
        require(penalty_weight >= 0, "penalty_weight", penalty_weight, "at least 0")
        require(target >= 0, "target", target, "at least 0")
        self.penalty_weight, self.target, self.one_sided = penalty_weight, target, one_sided

    def phases(self) -> list[Phase]:
        return [Phase("critic", self.critic, updates=["critic"], repeats=self.critic_updates,
                      weights={"gradient_penalty": self.penalty_weight}, separable=True),
                Phase("generator", self.generator, updates=["generator"], reads=None, separable=True)]

    def critic(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        real = 2.0 * batch["image"] - 1.0
        fake = nets["generator"](noise.normal("z", [self.latent_dim]), training=True)
        critic = partial(nets["critic"], training=True)
        penalty = gradient_penalty(critic, real, fake, noise.uniform("mix"), self.target, self.one_sided)
        real_scores, fake_scores = critic(real), critic(fake)
        return {"wasserstein": wasserstein_critic(real_scores, fake_scores), "gradient_penalty": penalty}
