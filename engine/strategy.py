"""The seam between *what* is minimised and *how* the updates run.

A ``LossStrategy`` lists its ``Phase``s; the engine compiles all of them into one cycle.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import tensorflow as tf

from engine.errors import Invalid, require
from engine.noise import Noise

Batch = Mapping[str, Any]  # {name: tensor [B, ...]}; of a phase that reads several sources {source: {name: tensor}}
Terms = Mapping[str, Any]
Nets = Mapping[str, Any]  # name -> keras.Model
State = Mapping[str, tf.Tensor]
Loss = Callable[..., Terms]  # loss(nets, batch, noise), or loss(nets, batch, noise, state)

FIRST = ""  # the first source of the run
SAME = "same"  # the batch of the phase before

# Names that the engine adds to every phase's terms.
RESERVED_TERMS = ("objective", "regularization", "gradient_norm", "learning_rate")


class Ratio(NamedTuple):
    """A term that is the sum of ``values`` over the sum of ``weights``, as a mean over tokens or selected examples.

    Both sums go over the whole global batch, all micro-batches and workers. 0/0 is 0.

    Attributes:
      values: [B, ...], or a scalar: already a sum over the batch.
      weights: The same.
    """

    values: Any
    weights: Any


class Counts(NamedTuple):
    """What ``Phase.when`` decides by, as int64 tensors.

    Attributes:
      cycle: Completed cycles.
      repeat: Number of this update among the phase's ``repeats`` in the cycle, from 0.
      updates: {phase: its completed updates}.
    """

    cycle: Any
    repeat: Any
    updates: Mapping[str, Any]


@dataclass(frozen=True)
class Phase:
    """One kind of update: a loss and the nets that it moves.

    Attributes:
      name: Unique in the strategy; the prefix of its columns in every log.
      loss: ``loss(nets, batch, noise) -> {term: tensor}``; with a fourth argument it is handed the strategy's state. A
        term of shape [B] is per example and averaged by the engine over the global batch; a scalar counts once per
        update; a ``Ratio`` is a sum over a sum.
      updates: Names of the nets whose trainable variables move.
      repeats: Updates per cycle, each with a fresh batch.
      every: The phase runs in every so many cycles: in cycle 0, ``every``, 2 ``every`` ...
      when: ``when(counts, state) -> bool tensor``: whether an update runs now, from ``Counts`` and the strategy's
        state. One that does not counts nothing, draws nothing and reads nothing.
      reads: Name of a source of the run, or several names: then the batch is {source: {name: tensor}}. By default the
        first source; ``"same"``: the batch that the phase before has read last; None: an empty batch.
      weights: Factor of a term in the objective, 1 if not named: a number, or a function or Keras
        ``LearningRateSchedule`` of this phase's update count.
      watch: Terms that are logged and not minimised; an ``Update(gradient=...)`` may use them all the same.
      passes: Names of results of the loss that are no terms, each [B, ...], handed to ``after``.
      after: ``after(nets, state, seen) -> {name: new value}`` of the strategy's state, once per applied update, after
        the optimizer. ``seen`` holds the means of the update's terms and what ``passes`` names, of the global batch.
      separable: True if no example's terms depend on the other examples of its batch (as they do in a contrastive
        loss). The engine may then hand the loss parts of a batch: side by side, which is faster on CPUs; one after
        the other (``Update(accumulate=...)``); or on several workers. A net with batch statistics is never given
        shards.

    Raises:
      Invalid: If a field breaks its rule.
    """

    name: str
    loss: Loss
    updates: Sequence[str]
    repeats: int = 1
    every: int = 1
    when: Callable[[Counts, State], Any] | None = None
    reads: str | Sequence[str] | None = FIRST
    weights: Mapping[str, Any] = field(default_factory=dict)
    watch: Sequence[str] = ()
    passes: Sequence[str] = ()
    after: Callable[[Nets, State, Mapping[str, Any]], Mapping[str, Any]] | None = None
    separable: bool = False

    def __post_init__(self) -> None:
        of = f"of phase {self.name}"
        require(self.name and "/" not in self.name, "phase name", repr(self.name), 'a name without "/"')
        require(callable(self.loss), f"loss {of}", self.loss, "callable")
        for field_name in ("updates", "watch", "passes"):
            require(not isinstance(getattr(self, field_name), str), f"{field_name} {of}", getattr(self, field_name),
                    "a list of net names" if field_name == "updates" else "a list of names")
        require(self.updates, f"updates {of}", list(self.updates),
                "at least one net: a phase that moves nothing trains nothing")
        for field_name in ("repeats", "every"):
            value = getattr(self, field_name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            require(whole and value >= 1, f"{field_name} {of}", value, "an integer of at least 1")
        for field_name in ("when", "after"):
            value = getattr(self, field_name)
            require(value is None or callable(value), f"{field_name} {of}", value, "callable, or None")
        require(not self.passes or self.after is not None, f"passes {of}", list(self.passes),
                "with after=, which is handed them")
        for term in self.weights:
            require(term not in self.watch, f"watch {of}", term,
                    "without terms that have a weight: a watched term is not minimised")


class LossStrategy:
    """What a training minimises. Subclass it and write ``phases``; the rest is optional.

    Attributes:
      better: {metric or term: "lower" or "higher"}, for a ``Goal``; what is minimised need not be named.
      ranges: {key of a batch, as the loss sees it, term or metric: (least, largest)}: where its mathematics holds. Data
        outside are refused, and of a mean outside it is said that it cannot be.
    """

    better: ClassVar[Mapping[str, str]] = {}
    ranges: ClassVar[Mapping[str, tuple[float, float]]] = {}

    def phases(self) -> Sequence[Phase]:
        """The phases of one cycle, in order."""
        raise TypeError(f"{type(self).__name__} must define phases()")

    def state(self) -> Mapping[str, Any]:
        """{name: array}: what the strategy remembers, at its start. ``Phase(after=...)`` gives new values.

        It is committed with the update, checked for finiteness, checkpointed and rolled back.
        """
        return {}

    def metrics(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        """Per-example metrics of held-out data, each of shape [B]; averaged exactly by ``evaluate``."""
        return {}

    def pictures(self, nets: Nets, batch: Batch, noise: Noise) -> Terms:
        """Grids to look at: {name: [n, h, w, c] in [0, 1]}."""
        return {}


class NamedBatch(dict[str, Any]):
    """A batch; an unknown key is answered with the known ones."""

    def __missing__(self, name: str) -> Any:
        raise Invalid(f"`key of a batch` ({name}) must be one of {', '.join(self)}")


class NamedNets(dict[str, Any]):
    """The nets by name; an unknown name is answered with the known ones."""

    def __missing__(self, name: str) -> Any:
        raise Invalid(f"`net` ({name}) must be one of {', '.join(self)}")
