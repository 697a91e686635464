"""Supervised classification: softmax cross-entropy on logits."""

import math
from collections.abc import Sequence
from typing import ClassVar

import tensorflow as tf

from engine.errors import require
from engine.strategy import Batch, LossStrategy, Nets, Noise, Phase, Terms
from losses.classification import accuracy, softmax_cross_entropy, top_k_accuracy
from losses.mixing import mixup, symmetric_beta


class Supervised(LossStrategy):
    """Minimises the cross-entropy of ``nets["classifier"](batch[inputs])`` to ``batch["label"]``.

    With mixup each example is mixed with the one before it in the batch, in a fraction of its own; the batch is in
    random order already. Examples then depend on their neighbours: the result depends on how batches are divided,
    over replicas or by accumulation, as with batch normalisation.

    Args:
      label_smoothing: Probability mass spread over all classes in training, in [0, 1).
      mixup: Parameter of Beta(mixup, mixup), the fractions in which training mixes examples and labels (Zhang et al.
        2018); 0 for not at all. The paper takes 0.1 to 0.4 for ImageNet and 1 for CIFAR.
      class_weights: One positive number per class, the weight of its examples in training. Only the ratios count:
        they are scaled to a mean of 1 over the classes, see ``softmax_cross_entropy``.
      inputs: Name of what is classified: "image", or "tokens" of texts.
    """

    better: ClassVar[dict[str, str]] = {"accuracy": "higher", "top_5_accuracy": "higher"}
    ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "cross_entropy": (0.0, float("inf")), "accuracy": (0.0, 1.0), "top_5_accuracy": (0.0, 1.0)}

    def __init__(self, label_smoothing: float = 0.0, mixup: float = 0.0,
                 class_weights: Sequence[float] | None = None, inputs: str = "image") -> None:
        require(0 <= label_smoothing < 1, "label_smoothing", label_smoothing, "at least 0 and below 1")
        require(0 <= mixup < math.inf, "mixup", mixup, "at least 0 and finite")
        require(class_weights is None or all(0 < weight < math.inf for weight in class_weights), "class_weights",
                class_weights, "positive numbers, one for each class")
        self.label_smoothing, self.mixup, self.class_weights = label_smoothing, mixup, class_weights
        self.inputs = inputs

    def phases(self) -> list[Phase]:
        return [Phase("classifier", self.loss, updates=["classifier"], watch=["accuracy"],
                      separable=not self.mixup)]

    def loss(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        """Under mixup the accuracy is mixed too: to each of the two labels, by its fraction."""
        image, label = batch[self.inputs], batch["label"]
        if not self.mixup:
            return self._terms(label, nets["classifier"](image, training=True))
        fraction = symmetric_beta(noise.uniform("mixup_radius"), noise.uniform("mixup_angle"), self.mixup)
        mixed = mixup(image, tf.roll(image, 1, axis=0), fraction)
        logits = nets["classifier"](mixed, training=True)
        own, other = self._terms(label, logits), self._terms(tf.roll(label, 1, axis=0), logits)
        return {name: mixup(own[name], other[name], fraction) for name in own}

    def _terms(self, label: tf.Tensor, logits: tf.Tensor) -> Terms:
        return {"cross_entropy": softmax_cross_entropy(label, logits, self.label_smoothing, self.class_weights),
                "accuracy": accuracy(label, logits)}

    def metrics(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        """Of whole inputs: cross-entropy without smoothing and weights, accuracy; top-5 of more than 5 classes."""
        label, logits = batch["label"], nets["classifier"](batch[self.inputs], training=False)
        top_5 = {"top_5_accuracy": top_k_accuracy(label, logits, 5)} if logits.shape[-1] > 5 else {}
        return {"cross_entropy": softmax_cross_entropy(label, logits), "accuracy": accuracy(label, logits), **top_5}

    def logits(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        """{"logits": [B, classes], "label": [B], and the inputs as transformed}, for ``Trainer.examples``."""
        logits = nets["classifier"](batch[self.inputs], training=False)
        return {"logits": logits, "label": batch["label"], self.inputs: batch[self.inputs]}
