"""Variational autoencoder: reconstruction + KL (Kingma and Welling 2014, equation 10)."""

from collections.abc import Callable
from typing import ClassVar

import tensorflow as tf

from engine.errors import require
from engine.strategy import Batch, LossStrategy, Nets, Noise, Phase, Terms
from losses.divergence import free_bits, kl_to_standard_normal, kl_to_standard_normal_per_dimension
from losses.likelihood import bernoulli_nll


class VAE(LossStrategy):
    """Minimises the negative evidence lower bound of ``batch["image"]`` in [0, 1], nats per example.

    ``nets["vae"]`` has ``encode(images) -> (mean, log_var)`` and ``decode(z) -> logits``, both taking
    ``training``.

    Args:
      beta: Weight of the KL term: a number of at least 0, or a schedule of the update count (KL annealing).
        1 is the bound itself; Higgins et al. 2017 take more.
      free_bits: Nats per latent dimension below which the KL is not pressed (Kingma et al. 2016).
    """

    better: ClassVar[dict[str, str]] = {"negative_elbo": "lower"}
    ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "image": (0.0, 1.0), "reconstruction": (0.0, float("inf")), "kl": (0.0, float("inf"))}

    def __init__(self, beta: float | Callable[[tf.Tensor], tf.Tensor] = 1.0, free_bits: float = 0.0) -> None:
        require(callable(beta) or beta >= 0, "beta", beta, "at least 0, or a schedule")
        require(free_bits >= 0, "free_bits", free_bits, "at least 0 nats")
        self.beta, self.free_bits = beta, free_bits

    def phases(self) -> list[Phase]:
        return [Phase("elbo", self.elbo, updates=["vae"], weights={"kl": self.beta}, separable=True)]

    def elbo(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        mean, log_var = nets["vae"].encode(batch["image"], training=True)
        z = mean + tf.exp(0.5 * log_var) * noise.normal("z", mean.shape[1:])
        logits = nets["vae"].decode(z, training=True)
        kl = (free_bits(kl_to_standard_normal_per_dimension(mean, log_var), self.free_bits)
              if self.free_bits else kl_to_standard_normal(mean, log_var))
        return {"reconstruction": bernoulli_nll(batch["image"], logits), "kl": kl}

    def metrics(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        """The bound itself (beta 1, no free bits) with one sample of the posterior."""
        mean, log_var = nets["vae"].encode(batch["image"], training=False)
        z = mean + tf.exp(0.5 * log_var) * noise.normal("z", mean.shape[1:])
        reconstruction = bernoulli_nll(batch["image"], nets["vae"].decode(z, training=False))
        kl = kl_to_standard_normal(mean, log_var)
        return {"negative_elbo": reconstruction + kl, "reconstruction": reconstruction, "kl": kl}

    def pictures(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        mean, _ = nets["vae"].encode(batch["image"], training=False)
        reconstructions = tf.sigmoid(nets["vae"].decode(mean, training=False))
        samples = tf.sigmoid(nets["vae"].decode(noise.normal("prior", mean.shape[1:]), training=False))
        pairs = tf.stack([batch["image"], tf.cast(reconstructions, tf.float32)], axis=1)
        return {"samples": samples, "reconstructions": tf.reshape(pairs, [-1, *batch["image"].shape[1:]])}
