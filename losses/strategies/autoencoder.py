"""Autoencoder: an image through a narrow code and back."""

from typing import ClassVar

import tensorflow as tf

from engine.errors import require
from engine.strategy import Batch, LossStrategy, Nets, Noise, Phase, Terms
from losses.likelihood import bernoulli_nll
from losses.regression import squared_error

TERMS = {"squared": "squared_error", "bernoulli": "bernoulli_nll"}


class Autoencoder(LossStrategy):
    """Minimises the error of the reconstruction of ``batch["image"]`` in [0, 1].

    ``nets["autoencoder"]`` maps images to logits of their shape; the reconstruction is the logits' sigmoid.

    Args:
      error: "squared", the mean over the pixels of the squared error (Hinton and Salakhutdinov 2006), or
        "bernoulli", the cross-entropy summed over the pixels, in nats (Vincent et al. 2010, section 2.2).
    """

    better: ClassVar[dict[str, str]] = {"squared_error": "lower", "bernoulli_nll": "lower"}
    ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "image": (0.0, 1.0), "squared_error": (0.0, float("inf")), "bernoulli_nll": (0.0, float("inf"))}

    def __init__(self, error: str = "squared") -> None:
        require(error in TERMS, "error", error, f"one of {', '.join(TERMS)}")
        self.term = TERMS[error]

    def phases(self) -> list[Phase]:
        return [Phase("autoencoder", self.loss, updates=["autoencoder"], separable=True)]

    def loss(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        logits = nets["autoencoder"](batch["image"], training=True)
        return {self.term: _errors(batch["image"], logits)[self.term]}

    def metrics(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        """Both errors, whichever is minimised."""
        return _errors(batch["image"], nets["autoencoder"](batch["image"], training=False))

    def pictures(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        """Originals, each beside its reconstruction."""
        reconstructions = tf.sigmoid(nets["autoencoder"](batch["image"], training=False))
        pairs = tf.stack([batch["image"], tf.cast(reconstructions, tf.float32)], axis=1)
        return {"reconstructions": tf.reshape(pairs, [-1, *batch["image"].shape[1:]])}


def _errors(image: tf.Tensor, logits: tf.Tensor) -> Terms:
    return {"squared_error": squared_error(image, tf.sigmoid(logits)), "bernoulli_nll": bernoulli_nll(image, logits)}
