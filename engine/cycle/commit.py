"""What a good update does to the state: the only place that assigns."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from engine.cycle import optimizers
from engine.cycle.average import WeightAverage
from engine.cycle.converted import converted
from engine.cycle.health import Spike, SpikeWatch
from engine.cycle.loss_scale import LossScale
from engine.cycle.measured import Measured
from engine.cycle.names import named
from engine.cycle.scope import Scope
from engine.cycle.update import Group, Update
from engine.cycle.variables import once
from engine.strategy import Nets, Phase

Seen = Mapping[str, tf.Tensor]


class Commit:
    """Applies the updates of one phase: optimizers, averages, the strategy's state, loss scale, spike watch.

    Args:
      groups: Optimizers, each with the variables that it moves.
      assigned: Variables that the forward pass assigns.
      averages: Averages that move with this phase's updates.
      state: The strategy's, by name.
      after_reads: Whether ``phase.after`` reads what the update moves.
      loss_scaling: Whether the loss is scaled dynamically (float16).
    """

    def __init__(self, phase: Phase, update: Update, nets: Nets, groups: Sequence[Group], variables: Sequence[Any],
                 assigned: Sequence[Any], averages: Sequence[WeightAverage], state: Mapping[str, tf.Variable],
                 after_reads: bool, loss_scaling: bool, spike: Spike | None) -> None:
        self.update, self.groups, self.averages, self.state, self._phase = update, groups, averages, state, phase
        self._variables, self._assigned, self._nets = list(variables), assigned, nets
        self._after = converted(phase.after, nets.values()) if phase.after else None
        self._after_reads = after_reads
        self.loss_scale = LossScale() if loss_scaling else None
        self.spikes = SpikeWatch(spike) if spike else None
        # Whether every update must be looked at once it is applied.
        self.guards_always = after_reads or not all(map(optimizers.is_bounded, groups))

    @property
    def variables(self) -> list[tf.Variable]:
        """All that ``apply`` assigns."""
        own = [] if self.loss_scale is None else [self.loss_scale.scale, self.loss_scale.good]
        own += [] if self.spikes is None else [self.spikes.values, self.spikes.count]
        slots = [v.value for optimizer in self.update.optimizers for v in optimizer.variables]
        return [*self.weights, *slots, *(v for average in self.averages for v in average.variables),
                *(self.state.values() if self._after else ()), *own]

    @property
    def weights(self) -> list[tf.Variable]:
        """Those of the nets."""
        return [v.value for v in once([*self._variables, *self._assigned])]

    def scale(self) -> tf.Tensor | float:
        """The factor of the objective."""
        return 1.0 if self.loss_scale is None else self.loss_scale.scale.read_value()

    def values(self) -> dict[str, tf.Tensor]:
        """The strategy's state now."""
        return {name: variable.read_value() for name, variable in self.state.items()}

    def proposed(self, measured: Measured, seen: Seen) -> dict[str, tf.Tensor]:
        """New values of the state, if they do not depend on what the update moves."""
        return {} if self._after is None or self._after_reads else self._new_state(measured, seen)

    def is_calm(self, norm: tf.Tensor) -> tf.Tensor:
        """Whether no weight can overflow, so that the update need not be ``guarded``."""
        if self.guards_always:
            return tf.constant(False)
        return tf.reduce_all(tf.stack([optimizers.is_calm(group, norm) for group in self.groups]))

    def apply(self, measured: Measured, norm: tf.Tensor, seen: Seen, proposed: Mapping[str, tf.Tensor]) -> None:
        """Apply one update. ``norm`` is the global norm of the gradients; all is finite."""
        with named(self._phase.name, "apply"):
            self._apply(measured, norm, seen, proposed)

    def _apply(self, measured: Measured, norm: tf.Tensor, seen: Seen, proposed: Mapping[str, tf.Tensor]) -> None:
        for variable, value in zip(self._assigned, measured.assigned, strict=True):
            variable.value.assign(value)
        gradients = measured.gradients[0]
        if self.update.clip_norm is not None:
            factor = tf.minimum(1.0, self.update.clip_norm / tf.maximum(norm, 1e-30))
            gradients = [gradient * factor for gradient in gradients]
        self._move(gradients)
        if (bound := self.update.clip_weights) is not None:
            for v in self._variables:
                v.value.assign(tf.clip_by_value(tf.convert_to_tensor(v.value), -bound, bound))
        state = self._new_state(measured, seen) if self._after_reads else proposed
        for name, value in state.items():
            self.state[name].assign(value)
        for average in self.averages:
            average.move()
        if self.loss_scale is not None:
            self.loss_scale.grow()
        if self.spikes is not None:
            self.spikes.note(measured.vector[0])

    def guarded(self, *update: Any) -> tf.Tensor:
        """``apply``, and take it back if a value is not finite then, or so large that it soon will not be.

        Returns whether it stands.
        """
        return self.kept_if(self.before(), update, True)

    def kept_if(self, before: Sequence[tf.Tensor], update: Any, good: tf.Tensor | bool) -> tf.Tensor:
        """``apply(*update)``, and put ``before`` back unless ``good`` and finite."""
        self.apply(*update)
        after = self.before()
        few = [optimizers.LARGEST_WEIGHT] * len(self.weights)
        limits = [*few, *[float("inf")] * (len(after) - len(few))]
        good = good & tf.reduce_all(tf.stack([
            tf.reduce_all(tf.abs(tf.cast(value, tf.float32)) < limit)
            for value, limit in zip(after, limits, strict=True) if value.dtype.is_floating]))
        for variable, new, old in zip(self.variables, after, before, strict=True):
            variable.assign(tf.where(good, new, old))
        return good

    def before(self) -> list[tf.Tensor]:
        """What all of the variables hold now."""
        return [variable.read_value() for variable in self.variables]

    def _move(self, gradients: Sequence[tf.Tensor]) -> None:
        by_variable = {id(v): gradient for v, gradient in zip(self._variables, gradients, strict=True)}
        for optimizer, variables in self.groups:
            optimizers.apply((optimizer, variables), [by_variable[id(v)] for v in variables])

    def _new_state(self, measured: Measured, seen: Seen) -> dict[str, tf.Tensor]:
        assert self._after is not None
        with Scope():
            values = self._after(self._nets, self.values(), {**seen, **measured.passes})
        return {name: tf.convert_to_tensor(value) for name, value in values.items()}
