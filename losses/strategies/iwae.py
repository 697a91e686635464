"""Importance-weighted autoencoder: a VAE under a tighter bound (Burda et al. 2016, equation 8)."""

from typing import ClassVar

import tensorflow as tf

from engine.errors import require
from engine.strategy import Batch, LossStrategy, Nets, Noise, Phase, Terms
from losses.likelihood import bernoulli_nll, gaussian_nll, importance_weighted_nll
from losses.strategies.vae import VAE


class IWAE(LossStrategy):
    """Minimises the importance-weighted bound of ``batch["image"]`` in [0, 1], nats per example.

    ``nets["vae"]`` is as for ``VAE``. With one sample the bound is the VAE's, its KL estimated by the sample.

    Args:
      samples: Draws of the posterior per example (k in the paper). The decoder runs on all of them.
    """

    ranges: ClassVar[dict[str, tuple[float, float]]] = {"image": (0.0, 1.0)}

    def __init__(self, samples: int = 5) -> None:
        require(samples >= 1, "samples", samples, "an integer of at least 1")
        self.samples = samples

    def phases(self) -> list[Phase]:
        return [Phase("bound", self.bound, updates=["vae"], separable=True)]

    def bound(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        return {"importance_weighted_nll": importance_weighted_nll(self._log_weights(nets, batch, noise, True))}

    def metrics(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        """The bound, and from the same draws the VAE's looser one."""
        log_weights = self._log_weights(nets, batch, noise, False)
        return {"importance_weighted_nll": importance_weighted_nll(log_weights),
                "negative_elbo": -tf.reduce_mean(log_weights, axis=1)}

    def pictures(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        return VAE().pictures(nets, batch, noise)

    def _log_weights(self, nets: Nets, batch: Batch, noise: Noise, training: bool) -> tf.Tensor:
        """log p(x | z) + log p(z) - log q(z | x) of each draw, [B, samples]."""
        mean, log_var = nets["vae"].encode(batch["image"], training=training)
        draws = _flat(noise.normal("z", [self.samples, *mean.shape[1:]]))
        image, mean, log_var = (_flat(_copies(each, self.samples)) for each in (batch["image"], mean, log_var))
        z = mean + tf.exp(0.5 * log_var) * draws
        zeros = tf.zeros_like(z)
        log_ratio = gaussian_nll(z, mean, log_var) - gaussian_nll(z, zeros, zeros)  # log p(z) - log q(z | x)
        log_weights = log_ratio - bernoulli_nll(image, nets["vae"].decode(z, training=training))
        return tf.reshape(log_weights, [-1, self.samples])


def _copies(tensor: tf.Tensor, count: int) -> tf.Tensor:
    """[B, ...] to [B, count, ...]."""
    return tf.tile(tensor[:, None], [1, count] + [1] * (len(tensor.shape) - 1))


def _flat(tensor: tf.Tensor) -> tf.Tensor:
    """[B, k, ...] to [B * k, ...]."""
    return tf.reshape(tensor, [-1, *tensor.shape[2:]])
