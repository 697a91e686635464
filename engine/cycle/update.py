"""The second half of every update: what a finite gradient does to the state."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from engine.cycle import adam
from engine.cycle.health import Spike, SpikeWatch
from engine.cycle.replicas import Replicas
from engine.errors import require


@dataclass(frozen=True)
class Update:
    """How one phase moves its nets.

    Attributes:
      optimizer: A Keras optimizer of its own, without clipping, averaging or accumulation.
      clip_norm: Upper bound of the gradients' global norm, taken over all replicas; None for none.
      accumulate: Batches whose mean gradient makes one update: ``a`` batches of B are one of ``a * B``.
      average: Decay of a moving average of the weights (EMA) that evaluation and pictures use; None for none.
        After ``n`` updates the decay is min(average, (1 + n) / (10 + n)), as in tf.train.ExponentialMovingAverage.
      clip_weights: After each update every weight that the phase moves is clamped to [-clip_weights, clip_weights]
        (Arjovsky et al. 2017, algorithm 1); None for none. The average is taken of the clamped weights.

    Raises:
      Invalid: if a field breaks its rule.
    """

    optimizer: Any
    clip_norm: float | None = None
    accumulate: int = 1
    average: float | None = None
    clip_weights: float | None = None

    def __post_init__(self) -> None:
        require(isinstance(self.optimizer, keras.optimizers.Optimizer), "optimizer", self.optimizer,
                "a Keras optimizer")
        require(not isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer), "optimizer", self.optimizer,
                'the optimizer inside it: Trainer(precision="float16") scales the loss')
        for name in ("clipnorm", "clipvalue", "global_clipnorm", "gradient_accumulation_steps", "loss_scale_factor"):
            require(getattr(self.optimizer, name, None) is None, f"{name} of the optimizer",
                    getattr(self.optimizer, name, None), "unset: Update clips, scales and accumulates, after the "
                    "reduction over replicas")
        require(not self.optimizer.use_ema, "use_ema of the optimizer", True, "False: use Update(average=...)")
        require(self.clip_norm is None or self.clip_norm > 0, "clip_norm", self.clip_norm, "above 0, or None")
        require(isinstance(self.accumulate, int) and self.accumulate >= 1, "accumulate", self.accumulate,
                "an integer of at least 1")
        require(self.average is None or 0 < self.average < 1, "average", self.average, "between 0 and 1, or None")
        require(self.clip_weights is None or self.clip_weights > 0, "clip_weights", self.clip_weights,
                "above 0, or None")


def as_update(update: Any) -> Update:
    """``update`` itself, or an ``Update`` around a bare Keras optimizer."""
    return update if isinstance(update, Update) else Update(update)


CEILING = 2.0**24  # of a loss scale: above it, no gradient that float16 can hold is saved


class LossScale:
    """The dynamic loss scale of one phase in float16 (Micikevicius et al. 2018, section 3.2).

    The objective is multiplied by it so that small gradients survive in float16. It doubles after 2000
    good updates, to ``CEILING`` at most, and halves when gradients overflow; such an update is passed over, which is
    no fault.
    """

    def __init__(self) -> None:
        self.scale = tf.Variable(2.0**15, trainable=False, name="loss_scale")
        self.good = tf.Variable(0, dtype=tf.int64, trainable=False, name="good_updates")

    def grow(self) -> None:
        """After an update that was applied."""
        full = self.good >= 1999
        self.scale.assign(tf.where(full, tf.minimum(self.scale * 2.0, CEILING), self.scale))
        self.good.assign(tf.where(full, tf.zeros_like(self.good), self.good + 1))

    def shrink(self, overflowed: tf.Tensor | bool = True) -> None:
        """After gradients that ``overflowed``."""
        self.scale.assign(tf.where(overflowed, tf.maximum(self.scale / 2.0, 1.0), self.scale))
        self.good.assign(tf.where(overflowed, tf.zeros_like(self.good), self.good))


class Updater:
    """The state that one phase's updates need beside the nets: slots, averages, loss scale, last objectives."""

    def __init__(self, update: Update, variables: Sequence[Any], buffers: Sequence[Any], replicas: Replicas,
                 half: bool, spike: Spike | None = None) -> None:
        self.update, self._variables, self._buffers, self._replicas = update, list(variables), buffers, replicas
        _check_new(update.optimizer, self._variables)
        with replicas.strategy.scope():
            update.optimizer.build(self._variables)
            self.loss_scale = LossScale() if half else None
            self.spikes = SpikeWatch(spike) if spike else None
            self.averages = [
                (v, tf.Variable(v.value, trainable=False, name="average"))
                for v in (self._variables if update.average else [])]

    @property
    def variables(self) -> list[tf.Variable]:
        """All that ``commit`` assigns."""
        own = [] if self.loss_scale is None else [self.loss_scale.scale, self.loss_scale.good]
        own += [] if self.spikes is None else [self.spikes.values, self.spikes.count]
        keras_variables = [*self._variables, *self._buffers, *self.update.optimizer.variables]
        return [*(v.value for v in keras_variables), *(average for _, average in self.averages), *own]

    def scale(self) -> tf.Tensor | float:
        """The factor of the objective."""
        return 1.0 if self.loss_scale is None else self.loss_scale.scale.read_value()

    def commit(self, gradients: Sequence[tf.Tensor], objective: tf.Tensor, norm: tf.Tensor,
               buffers: Sequence[tf.Tensor]) -> None:
        """Apply one update. ``norm`` is the global norm of ``gradients``; all is finite."""
        clip = self.update.clip_norm
        if clip is not None:
            factor = tf.minimum(1.0, clip / tf.maximum(norm, 1e-30))
            gradients = [gradient * factor for gradient in gradients]
        self._replicas.run(self._apply, gradients)
        self._clip_weights()
        for variable, value in zip(self._buffers, buffers, strict=True):
            variable.value.assign(value)
        self._average()
        if self.loss_scale is not None:
            self.loss_scale.grow()
        if self.spikes is not None:
            self.spikes.note(objective)

    def _apply(self, gradients: Sequence[tf.Tensor]) -> tf.Tensor:
        # Keras sums over replicas inside apply: each hands in an equal share of what is reduced already.
        count = self._replicas.count
        shares = gradients if count == 1 else [gradient / count for gradient in gradients]
        if count == 1 and adam.suits(self.update.optimizer, self._variables):
            adam.apply(self.update.optimizer, shares, self._variables)
        else:
            self.update.optimizer.apply(shares, self._variables)
        return tf.zeros([])

    def _clip_weights(self) -> None:
        bound = self.update.clip_weights
        if bound is None:
            return
        for variable in self._variables:
            variable.value.assign(tf.clip_by_value(tf.convert_to_tensor(variable.value), -bound, bound))

    def _average(self) -> None:
        if not self.averages:
            return
        applied = tf.cast(self.update.optimizer.iterations.value, tf.float32)
        decay = tf.minimum(self.update.average, (1.0 + applied) / (10.0 + applied))
        for variable, average in self.averages:
            average.assign(average + (1.0 - decay) * (tf.convert_to_tensor(variable.value) - average))


def _check_new(optimizer: Any, variables: Sequence[Any]) -> None:
    """Raises ``Invalid`` for an optimizer that has moved variables, or was built for others."""
    updates = int(tf.convert_to_tensor(optimizer.iterations.value))
    require(not updates, "optimizer", f"{optimizer.name}, {updates} updates",
            "new: it goes on from its own moments of another training")
    own = {id(v) for v in getattr(optimizer, "_trainable_variables", [])} if optimizer.built else set()
    require(not own or own == {id(v) for v in variables}, "optimizer", optimizer.name,
            "new: it was made ready for the variables of another training")
