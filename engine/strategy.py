"""The seam between *what* is minimised and *how* the updates run.

A ``LossStrategy`` lists its ``Phase``s; the engine compiles all of them into one cycle.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from engine.errors import Invalid, require
from engine.noise import Noise

Batch = Mapping[str, tf.Tensor]
Terms = Mapping[str, tf.Tensor]
Nets = Mapping[str, Any]  # name -> keras.Model
Loss = Callable[[Nets, Batch, Noise], Terms]

# Names that the engine adds to every phase's terms.
RESERVED_TERMS = ("objective", "regularization", "gradient_norm")


@dataclass(frozen=True)
class Phase:
    """One kind of update: a loss and the nets that it moves.

    Attributes:
      name: Unique in the strategy; the prefix of its columns in every log.
      loss: ``loss(nets, batch, noise) -> {term: tensor}``. A term of shape [B] is per example and
        averaged by the engine over the global batch; a scalar counts once per update.
      updates: Names of the nets whose trainable variables move.
      repeats: Updates per cycle, each with a fresh batch.
      weights: Factor of a term in the objective, 1 if not named: a number, or a Keras
        ``LearningRateSchedule`` of this phase's update count.
      watch: Terms that are logged and not minimised.
      reads_batch: False if the loss needs no data; it then gets an empty batch.
      separable: True if no example's terms depend on the other examples of its batch (as they do in a contrastive
        loss). The engine may then hand the loss parts of a batch, side by side, which is faster on CPUs. A net
        with batch statistics is never given parts.

    Raises:
      Invalid: if a field breaks its rule.
    """

    name: str
    loss: Loss
    updates: Sequence[str]
    repeats: int = 1
    weights: Mapping[str, Any] = field(default_factory=dict)
    watch: Sequence[str] = ()
    reads_batch: bool = True
    separable: bool = False

    def __post_init__(self) -> None:
        require(self.name and "/" not in self.name, "phase name", repr(self.name), 'a name without "/"')
        require(callable(self.loss), f"loss of phase {self.name}", self.loss, "callable")
        require(not isinstance(self.updates, str), f"updates of phase {self.name}", self.updates,
                "a list of net names")
        require(self.updates, f"updates of phase {self.name}", list(self.updates),
                "at least one net: a phase that moves nothing trains nothing")
        whole = isinstance(self.repeats, int) and not isinstance(self.repeats, bool)
        require(whole and self.repeats >= 1, f"repeats of phase {self.name}", self.repeats,
                "an integer of at least 1")
        for term in self.weights:
            require(term not in self.watch, f"watch of phase {self.name}", term,
                    "without terms that have a weight: a watched term is not minimised")


class LossStrategy:
    """What a training minimises. Subclass it and write ``phases``; the rest is optional."""

    def phases(self) -> Sequence[Phase]:
        """The phases of one cycle, in order."""
        raise TypeError(f"{type(self).__name__} must define phases()")

    def metrics(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        """Per-example figures of held-out data, each of shape [B]; averaged exactly by ``evaluate``."""
        return {}

    def pictures(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        """Grids to look at: {name: [n, h, w, c] in [0, 1]}."""
        return {}


class NamedNets(dict[str, Any]):
    """The nets by name; an unknown name is answered with the known ones."""

    def __missing__(self, name: str) -> Any:
        raise Invalid(f"`net` ({name}) must be one of {', '.join(self)}")
