"""GAN: a generator against a discriminator (Goodfellow et al. 2014, algorithm 1), with four pairs of losses."""

from typing import ClassVar

import tensorflow as tf

from engine.errors import require
from engine.strategy import Batch, LossStrategy, Nets, Noise, Phase, Terms
from losses import adversarial

PAIRS = {
    "non-saturating": (adversarial.non_saturating_discriminator, adversarial.non_saturating_generator),
    "minimax": (adversarial.non_saturating_discriminator, adversarial.minimax_generator),
    "least-squares": (adversarial.least_squares_discriminator, adversarial.least_squares_generator),
    "hinge": (adversarial.hinge_discriminator, adversarial.hinge_generator),
}


class GAN(LossStrategy):
    """``discriminator_updates`` discriminator updates, each on a fresh batch, then one generator update.

    ``nets["generator"]`` maps latents [B, latent_dim] to images in [-1, 1]; ``nets["discriminator"]`` maps such
    images to scores [B], without a sigmoid. ``batch["image"]`` is in [0, 1].

    Args:
      kind: "non-saturating" or "minimax" (the two generators of Goodfellow et al. 2014), "least-squares" (Mao et
        al. 2017) or "hinge" (Lim and Ye 2017).
      latent_dim: Dimensions of the standard normal latent.
      discriminator_updates: Discriminator updates per generator update (k in the paper).
    """

    ranges: ClassVar[dict[str, tuple[float, float]]] = {"image": (0.0, 1.0)}

    def __init__(self, kind: str = "non-saturating", latent_dim: int = 64, discriminator_updates: int = 1) -> None:
        require(kind in PAIRS, "kind", kind, f"one of {', '.join(PAIRS)}")
        require(latent_dim >= 1, "latent_dim", latent_dim, "an integer of at least 1")
        require(discriminator_updates >= 1, "discriminator_updates", discriminator_updates, "an integer of at least 1")
        self.latent_dim, self.discriminator_updates = latent_dim, discriminator_updates
        self.of_discriminator, self.of_generator = PAIRS[kind]

    def phases(self) -> list[Phase]:
        return [Phase("discriminator", self.discriminator, updates=["discriminator"],
                      repeats=self.discriminator_updates, watch=["real_score", "fake_score"], separable=True),
                Phase("generator", self.generator, updates=["generator"], reads=None, separable=True)]

    def discriminator(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        real = nets["discriminator"](2.0 * batch["image"] - 1.0, training=True)
        fake = nets["discriminator"](self._images(nets, noise, training=True), training=True)
        return {"adversarial": self.of_discriminator(real, fake), "real_score": real, "fake_score": fake}

    def generator(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        fake = self._images(nets, noise, training=True)
        return {"adversarial": self.of_generator(nets["discriminator"](fake, training=True))}

    def metrics(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        """Both players' losses on held-out images. They tell a balance and not a quality: look at the samples."""
        real = nets["discriminator"](2.0 * batch["image"] - 1.0, training=False)
        fake = nets["discriminator"](self._images(nets, noise, training=False), training=False)
        return {"discriminator_loss": self.of_discriminator(real, fake), "generator_loss": self.of_generator(fake)}

    def pictures(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        return {"samples": 0.5 * self._images(nets, noise, training=False) + 0.5}

    def _images(self, nets: Nets, noise: Noise, training: bool) -> tf.Tensor:
        """Generated images in [-1, 1], from the draw "z"."""
        return nets["generator"](noise.normal("z", [self.latent_dim]), training=training)
