"""WGAN: Wasserstein critic with clipped weights (Arjovsky et al. 2017, algorithm 1)."""

from typing import ClassVar

from engine.errors import require
from engine.strategy import Batch, LossStrategy, Nets, Noise, Phase, Terms
from losses.adversarial import wasserstein_critic, wasserstein_generator


class WGAN(LossStrategy):
    """``critic_updates`` critic updates, each on a fresh batch, then one generator update.

    ``nets["generator"]`` maps latents [B, latent_dim] to images in [-1, 1]; ``nets["critic"]`` maps such
    images to scores [B]. ``batch["image"]`` is in [0, 1].

    What keeps the critic Lipschitz belongs to its update: ``Update(RMSprop(5e-5), clip_weights=0.01)`` is the
    paper's. Without ``clip_weights`` nothing bounds the critic.

    Args:
      latent_dim: Dimensions of the standard normal latent.
      critic_updates: Critic updates per generator update.
    """

    better: ClassVar[dict[str, str]] = {"wasserstein_estimate": "lower"}
    ranges: ClassVar[dict[str, tuple[float, float]]] = {"image": (0.0, 1.0)}

    def __init__(self, latent_dim: int = 64, critic_updates: int = 5) -> None:
        require(latent_dim >= 1, "latent_dim", latent_dim, "an integer of at least 1")
        require(critic_updates >= 1, "critic_updates", critic_updates, "an integer of at least 1")
        self.latent_dim, self.critic_updates = latent_dim, critic_updates

    def phases(self) -> list[Phase]:
        return [Phase("critic", self.critic, updates=["critic"], repeats=self.critic_updates, separable=True),
                Phase("generator", self.generator, updates=["generator"], reads=None, separable=True)]

    def critic(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        fake = nets["generator"](noise.normal("z", [self.latent_dim]), training=True)
        real_scores = nets["critic"](2.0 * batch["image"] - 1.0, training=True)
        return {"wasserstein": wasserstein_critic(real_scores, nets["critic"](fake, training=True))}

    def generator(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        fake = nets["generator"](noise.normal("z", [self.latent_dim]), training=True)
        return {"wasserstein": wasserstein_generator(nets["critic"](fake, training=True))}

    def metrics(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        """The critic's estimate of the Wasserstein distance on held-out images; falls as samples improve."""
        fake = nets["generator"](noise.normal("z", [self.latent_dim]), training=False)
        real_scores = nets["critic"](2.0 * batch["image"] - 1.0, training=False)
        return {"wasserstein_estimate": -wasserstein_critic(real_scores, nets["critic"](fake, training=False))}

    def pictures(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        fake = nets["generator"](noise.normal("z", [self.latent_dim]), training=False)
        return {"samples": 0.5 * fake + 0.5}
