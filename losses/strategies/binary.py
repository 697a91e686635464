"""Binary classification of sequences: sigmoid cross-entropy on one logit."""

from typing import ClassVar

import tensorflow as tf

from engine.errors import require
from engine.strategy import Batch, LossStrategy, Nets, Noise, Phase, Terms
from losses.classification import binary_accuracy, sigmoid_cross_entropy


class Binary(LossStrategy):
    """Minimises the cross-entropy of ``nets["classifier"](batch["tokens"])``, one logit [B], to ``batch["label"]``.

    Labels are 0 or 1, [B]; the cross-entropy is in nats; a logit above 0 says 1.

    Args:
      label_smoothing: How far each label moves towards 1/2 in training, in [0, 1).
    """

    better: ClassVar[dict[str, str]] = {"accuracy": "higher"}
    ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "label": (0.0, 1.0), "cross_entropy": (0.0, float("inf")), "accuracy": (0.0, 1.0)}

    def __init__(self, label_smoothing: float = 0.0) -> None:
        require(0 <= label_smoothing < 1, "label_smoothing", label_smoothing, "at least 0 and below 1")
        self.label_smoothing = label_smoothing

    def phases(self) -> list[Phase]:
        return [Phase("classifier", self.loss, updates=["classifier"], watch=["accuracy"], separable=True)]

    def loss(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        return _terms(batch["label"], nets["classifier"](batch["tokens"], training=True), self.label_smoothing)

    def metrics(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        return _terms(batch["label"], nets["classifier"](batch["tokens"], training=False))

    def logits(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        """{"logits": [B]}, for ``Trainer.examples``."""
        return {"logits": nets["classifier"](batch["tokens"], training=False)}


def _terms(label: tf.Tensor, logits: tf.Tensor, label_smoothing: float = 0.0) -> Terms:
    return {"cross_entropy": sigmoid_cross_entropy(label, logits, label_smoothing),
            "accuracy": binary_accuracy(label, logits)}
