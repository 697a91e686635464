"""Supervised classification: softmax cross-entropy on logits."""

from engine.strategy import Batch, LossStrategy, Nets, Noise, Phase, Terms
from losses.classification import accuracy, softmax_cross_entropy


class Supervised(LossStrategy):
    """Minimises the cross-entropy of ``nets["classifier"](batch["image"])`` to ``batch["label"]``.

    Args:
      label_smoothing: Probability mass spread over all classes in training, in [0, 1).
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = label_smoothing

    def phases(self) -> list[Phase]:
        return [Phase("classifier", self.loss, updates=["classifier"], watch=["accuracy"], separable=True)]

    def loss(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        logits = nets["classifier"](batch["image"], training=True)
        return {"cross_entropy": softmax_cross_entropy(batch["label"], logits, self.label_smoothing),
                "accuracy": accuracy(batch["label"], logits)}

    def metrics(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        logits = nets["classifier"](batch["image"], training=False)
        return {"cross_entropy": softmax_cross_entropy(batch["label"], logits),
                "accuracy": accuracy(batch["label"], logits)}

    def logits(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        """{"logits": [B, classes]}, for ``Trainer.examples``."""
        return {"logits": nets["classifier"](batch["image"], training=False)}
