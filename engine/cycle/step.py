"""One update of one phase, from its inputs to its commit."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from engine.cycle.batch import GlobalBatch
from engine.cycle.commit import Commit
from engine.cycle.compute import Compute
from engine.cycle.converted import converted
from engine.cycle.inputs import Inputs, PhaseInputs
from engine.cycle.measured import Given, Measured
from engine.cycle.plan import Plan
from engine.cycle.pull import Pull
from engine.cycle.replicas import Replicas
from engine.cycle.state import Outcome, Tally
from engine.cycle.sums import added, squared_sum, witness
from engine.cycle.terms import Form
from engine.errors import require


class Found:
    """An update that is computed and not yet applied."""

    def __init__(self, measured: Measured, vector: tf.Tensor, sums: tf.Tensor, seen: dict[str, tf.Tensor],
                 proposed: dict[str, tf.Tensor], checked: tf.Tensor, scaled: tf.Tensor) -> None:
        self.norm, self.objective, self.sums, self.checked, self.scaled = vector[-1], vector[0], sums, checked, scaled
        self.update = measured, self.norm, seen, proposed  # what ``Commit.apply`` takes


class Step:
    """One phase as the loops see it.

    Under XLA, with one replica, the whole update, health check and counting included, is one part for the plan to
    compile; otherwise the gradients are: a function, traced once, that reads no variable which an update moves.

    Args:
      limit: Bad updates in a row at which the loop stops.
    """

    def __init__(self, compute: Compute, inputs: PhaseInputs, commit: Commit, plan: Plan, replicas: Replicas,
                 limit: int) -> None:
        self.compute, self.inputs, self.commit, self.phase, self._limit = compute, inputs, commit, compute.phase, limit
        self.names = [*compute.names, "gradient_norm"]
        self._floats = [place for place, v in enumerate(compute.traced.assigned) if tf.as_dtype(v.dtype).is_floating]
        # What is looked at beside the terms: values that an update would assign.
        self.checks = ["statistics"] * bool(self._floats) + ["state"] * bool(self.phase.after) + ["weights"]
        whole = plan.name == "xla" and replicas.count == 1
        self._batch = GlobalBatch(compute, replicas, commit.update.accumulate,
                                  (lambda function: function) if whole else plan.part)
        self.advance: Callable[..., Outcome] = plan.part(self._advance) if whole else self._advance
        self.rush: Callable[..., tuple[Outcome, tf.Tensor]] = plan.part(self._rush)
        choose = commit.update.gradient
        self._choose = None if choose is None else converted(choose)
        self.seldom = False  # ``advance`` is: then it need not be fast, nor the fast way be compiled
        # A function of its own: a branch that is seldom taken costs nothing then.
        self._guarded: Callable[..., tf.Tensor] = commit.guarded if plan.name == "eager" else tf.function(
            self._guarded_apart, autograph=False, experimental_attributes={"_noinline": True})

    def examples(self) -> list[int]:
        """For each name: how many examples of one update its mean is over; 1 for a scalar, 0 for a ``Ratio``."""
        traced, found = self.compute.traced, []
        for name in self.names:
            form = traced.terms.get(name, Form.SCALAR)
            each = traced.shapes[name][0] * self.commit.update.accumulate if form is Form.EXAMPLES else 1
            found.append(0 if form is Form.RATIO else each)
        return found

    def begun(self) -> Tally:
        """Before the first update of a call."""
        columns = len(self.names) + len(self.compute.traced.ratios)
        return Tally(tf.constant(0, tf.int64), tf.zeros([2, columns], tf.float64),
                     tf.zeros([len(self.names) + len(self.checks)]))

    def measure(self, update: tf.Tensor, inputs: Inputs, weights: list[tf.Tensor] | None = None) -> Measured:
        """Terms and gradients of update number ``update``, at other ``weights`` if given; applies nothing."""
        scale = self.commit.scale()
        assigned = [tf.convert_to_tensor(v.value) for v in self.compute.traced.assigned]
        given = Given(update, scale, weights, assigned, self.commit.values())
        measured = self._batch.measured(given, inputs)
        if self._choose is not None:
            pull = Pull(self.compute, self._batch, given, inputs, measured)
            return measured._replace(gradients=[self._chosen(pull)])
        if isinstance(scale, float):
            return measured
        return measured._replace(gradients=[[gradient / scale for gradient in measured.gradients[0]]])

    def _chosen(self, pull: Pull) -> list[tf.Tensor]:
        """What ``Update(gradient=...)`` gives. Raises ``Invalid`` for what is no gradient."""
        name, weights = f"gradient of phase {self.phase.name}", pull.weights
        assert self._choose is not None
        found = self._choose(pull)
        require(isinstance(found, list | tuple) and len(found) == len(weights), name,
                f"{len(found)} tensors" if isinstance(found, list | tuple) else found,
                f"a list of {len(weights)} tensors, one for each of pull.weights")
        for path, gradient, weight in zip(pull.paths, found, weights, strict=True):
            require(gradient is not None and not isinstance(gradient, list | tuple), f"{name}, {path}", gradient,
                    "a tensor; pull.gradients gives a list of gradients for each objective")
            require(tuple(tf.convert_to_tensor(gradient).shape) == tuple(weight.shape), f"{name}, {path}",
                    f"shape {list(tf.convert_to_tensor(gradient).shape)}", f"of shape {list(weight.shape)}")
        return [tf.convert_to_tensor(gradient) for gradient in found]

    def vector(self, measured: Measured) -> tf.Tensor:
        """[n]: the means of all terms, and the norm of the gradients."""
        norm = tf.sqrt(tf.add_n([squared_sum(gradient) for gradient in measured.gradients[0]]))
        return tf.concat([measured.vector, [norm]], axis=0)

    def find(self, update: tf.Tensor, inputs: Inputs) -> Found:
        """Compute the update."""
        measured = self.measure(update, inputs)
        vector = self.vector(measured)
        columns = tf.unstack(vector, len(self.names)) if self.compute.traced.ratios or self.phase.after else []
        seen = dict(zip(self.names, columns, strict=False))
        proposed = self.commit.proposed(measured, seen)
        checks = [witness([measured.assigned[place] for place in self._floats])] if self._floats else []
        if self.phase.after:
            checks.append(witness([value for value in proposed.values() if value.dtype.is_floating]))
        checked = tf.concat([vector, [*checks, 0.0]], axis=0)
        sums = vector
        if self.compute.traced.ratios:
            over = dict(zip(self.compute.traced.ratios, tf.unstack(measured.totals), strict=True))
            sums = tf.stack([*(over[name][0] if name in over else value
                               for name, value in zip(self.names, columns, strict=True)),
                             *(each[1] for each in over.values())])
        return Found(measured, vector, tf.cast(sums, tf.float64), seen, proposed, checked, self.commit.scale() > 1.0)

    def _advance(self, update: tf.Tensor, streak: tf.Tensor, tally: Tally, inputs: Inputs,
                 due: tf.Tensor | bool = True) -> Outcome:
        """Run update number ``update`` (int64) on its inputs, if due and good."""
        found = self.find(update, inputs)
        if due is True:
            return self._settle(found, streak, tally)
        return tf.cond(due, lambda: self._settle(found, streak, tally),
                       lambda: Outcome(streak, tally, tf.constant(False)))

    def _settle(self, found: Found, streak: tf.Tensor, tally: Tally) -> Outcome:
        def fast() -> tuple[tf.Tensor, tf.Tensor]:
            self.commit.apply(*found.update)
            return added(tally.sums, found.sums), tf.constant(True)

        def guarded() -> tuple[tf.Tensor, tf.Tensor]:
            stands = self._guarded(*found.update)
            return tf.where(stands, added(tally.sums, found.sums), tally.sums), stands

        def applied() -> tuple[tf.Tensor, tf.Tensor]:
            if self.commit.guards_always or self.seldom:
                return guarded()
            return tf.cond(self.commit.is_calm(found.norm), fast, guarded)

        good = self._good(found)
        sums, stands = tf.cond(good, applied, lambda: (tally.sums, tf.constant(False)))
        if self.commit.loss_scale is not None:
            self.commit.loss_scale.shrink(~good)  # a spike shrinks it too, which is harmless
        return self._counted(found, streak, tally, sums, good, stands)

    def select(self, update: tf.Tensor, streak: tf.Tensor, tally: Tally, inputs: Inputs, due: tf.Tensor | bool
               ) -> Outcome:
        """The same as ``advance`` without a branch, at which a GPU would wait for the host.

        Each variable is assigned its new value or the old one.
        """
        before = self.commit.before()
        found = self.find(update, inputs)
        good = self._good(found)
        stands = self.commit.kept_if(before, found.update, good & due)
        if self.commit.loss_scale is not None:
            self.commit.loss_scale.shrink(~good & due)
        sums = tf.where(stands, added(tally.sums, found.sums), tally.sums)
        outcome = self._counted(found, streak, tally, sums, good, stands)
        return tf.nest.map_structure(lambda new, old: tf.where(due, new, old), outcome,
                                     Outcome(streak, tally, tf.constant(False)))

    def _rush(self, update: tf.Tensor, streak: tf.Tensor, tally: Tally, inputs: Inputs) -> tuple[Outcome, tf.Tensor]:
        """The same, good or bad. Returns whether it was good and calm; if not, whoever calls undoes it."""
        found = self.find(update, inputs)
        self.commit.apply(*found.update)
        outcome = Outcome(tf.zeros_like(streak), tally._replace(sums=added(tally.sums, found.sums)),
                          tf.constant(False))
        return outcome, self._good(found) & self.commit.is_calm(found.norm)

    def _guarded_apart(self, *update: Any) -> tf.Tensor:
        return self.commit.guarded(*update)

    def _good(self, found: Found) -> tf.Tensor:
        """Whether all is finite, and the objective no spike."""
        good = tf.reduce_all(tf.math.is_finite(found.checked))
        spikes = self.commit.spikes
        return good if spikes is None else good & (found.objective <= spikes.limit())

    def _counted(self, found: Found, streak: tf.Tensor, tally: Tally, sums: tf.Tensor, good: tf.Tensor,
                 stands: tf.Tensor) -> Outcome:
        fault = ~stands
        if self.commit.loss_scale is not None:  # gradients that overflow in float16 are no fault
            others = tf.concat([found.checked[:len(self.names) - 1], found.checked[len(self.names):]], axis=0)
            spike = tf.constant(False) if self.commit.spikes is None else (
                found.objective > self.commit.spikes.limit())
            fault &= good | spike | ~(tf.reduce_all(tf.math.is_finite(others)) & found.scaled)
        undone = tf.where(good & ~stands, float("nan"), 0.0)  # the weights would not have been finite
        vector = tf.concat([found.checked[:-1], [undone]], axis=0)
        after = tf.where(fault, streak + 1, tf.zeros_like(streak))
        return Outcome(after, Tally(tally.rejected + tf.cast(~stands, tf.int64), sums,
                                    tf.where(fault, vector, tally.fault)), fault)
