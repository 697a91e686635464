"""An update that is computed and not yet applied."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import tensorflow as tf

from engine.cycle.across import Across
from engine.cycle.batch import GlobalBatch
from engine.cycle.commit import Commit
from engine.cycle.compute import Compute
from engine.cycle.converted import converted
from engine.cycle.division import Division
from engine.cycle.inputs import Inputs
from engine.cycle.measured import Given, Measured, Objective
from engine.cycle.plan import Plan
from engine.cycle.pull import Pull, chosen
from engine.cycle.shards import Shards, can_be_sharded
from engine.cycle.sums import squared_sum, witness

Function = Callable[..., Any]


class Candidate(NamedTuple):
    """What is known of an update before it is applied.

    Attributes:
      norm: Global norm of the gradients.
      seen: {name: mean} of the terms, for the strategy's state; empty if nothing needs them.
      proposed: New values of the strategy's state, if they do not depend on what the update moves.
      sums: [n] float64: what is added up for the log.
      checked: [n] float32: what must be finite.
      scaled: Whether the objective was, by a loss scale.
    """

    measured: Measured
    norm: tf.Tensor
    seen: dict[str, tf.Tensor]
    proposed: dict[str, tf.Tensor]
    sums: tf.Tensor
    checked: tf.Tensor
    scaled: tf.Tensor | bool

    @property
    def update(self) -> tuple[Measured, tf.Tensor, dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """What ``Commit.apply`` takes."""
        return self.measured, self.norm, self.seen, self.proposed

    @property
    def objective(self) -> tf.Tensor:
        """What is minimised."""
        return self.measured.vector[0]


class Candidates:
    """Computes the updates of one phase.

    Args:
      plan: Plan by which the gradients are compiled; a function, traced once, that reads no variable which an update
        moves.
      whole: Whether the update is compiled as a whole, the gradients with it.

    Attributes:
      names: Names of the means of an update, the gradients' norm last. checks: Names of what is looked at beside them.
    """

    def __init__(self, compute: Compute, commit: Commit, plan: Plan, division: Division, whole: bool) -> None:
        self._compute, self._commit, accumulate = compute, commit, commit.update.accumulate
        self._compile: Callable[[Function], Function] = (
            (lambda function: function) if whole else partial(plan.part, apart=compute.traced.pools))
        if division.synchronises and compute.traced.assigned:  # it calls its partners: no unit of XLA
            self._compile = partial(Plan("eager" if plan.name == "eager" else "graph").part, apart=compute.traced.pools)
        sharded = plan.shards and can_be_sharded(compute, division, loops=plan.name != "xla")
        self._part = Shards(compute) if sharded else compute
        self._batch: Across | GlobalBatch | None = None
        if not division.whole:
            self._batch = Across(compute, self._part, division, accumulate, self._compile)
        elif accumulate > 1:
            self._batch = GlobalBatch(compute, self._part, accumulate, self._compile)
        self._gradients = self._batch.gradients if self._batch else self._compile(self._part.gradients)
        choose = commit.update.gradient
        self._choose = None if choose is None else converted(choose)
        self.names = [*compute.names, "gradient_norm"]
        self._floats = [place for place, v in enumerate(compute.traced.assigned) if tf.as_dtype(v.dtype).is_floating]
        # What is looked at beside the terms: values that an update would assign.
        self.checks = ["statistics"] * bool(self._floats) + ["state"] * bool(compute.phase.after) + ["weights"]

    def of(self, update: tf.Tensor, inputs: Inputs, weights: list[tf.Tensor] | None = None) -> Candidate:
        """Update number ``update`` (int64), at other ``weights`` if given. Applies nothing."""
        return self.looked_at(self.measured(update, inputs, weights))

    def measured(self, update: tf.Tensor, inputs: Inputs, weights: list[tf.Tensor] | None = None) -> Measured:
        """What is computed of it."""
        compute, commit, scale = self._compute, self._commit, self._commit.scale()
        if self._batch is None:
            # The weights are handed over: a function that reads variables by itself would begin only after all that was
            # assigned to any of them, and the updates of a cycle could not overlap.
            inputs, weights = inputs.micro(0), compute.weights() if weights is None else weights
        assigned = [tf.convert_to_tensor(v.value) for v in compute.traced.assigned]
        given = Given(update, scale, weights, assigned, commit.values())
        measured = self._gradients(given, inputs)
        if self._choose is not None:
            pull = Pull(compute, measured, given, lambda given, objectives: self._of(objectives)(given, inputs))
            measured = measured._replace(gradients=[chosen(self._choose, pull, compute.phase)])
        elif not isinstance(scale, float):
            measured = measured._replace(gradients=[[gradient / scale for gradient in measured.gradients[0]]])
        return measured

    def _of(self, objectives: Sequence[Objective | None]) -> Function:
        """What gives the gradients of other ``objectives``."""
        if tuple(objectives) == (None,):
            return self._gradients
        whole = self._batch or self._part

        def again(given: Given, inputs: Inputs) -> Measured:
            return whole.gradients(given, inputs, objectives)

        return again if self._batch else self._compile(again)

    def looked_at(self, measured: Measured) -> Candidate:
        """With all that follows from what is measured."""
        norm = tf.sqrt(tf.add_n([squared_sum(gradient) for gradient in measured.gradients[0]]))
        vector = tf.concat([measured.vector, [norm]], axis=0)
        ratios = self._compute.traced.ratios
        columns = tf.unstack(vector, len(self.names)) if ratios or self._compute.phase.after else []
        seen = dict(zip(self.names, columns, strict=False))
        proposed = self._commit.proposed(measured, seen)
        checks = [witness([measured.assigned[place] for place in self._floats])] if self._floats else []
        if self._compute.phase.after:
            checks.append(witness([value for value in proposed.values() if value.dtype.is_floating]))
        sums = vector
        if ratios:
            over = dict(zip(ratios, tf.unstack(measured.totals), strict=True))
            sums = tf.stack([*(over[name][0] if name in over else value
                               for name, value in zip(self.names, columns, strict=True)),
                             *(each[1] for each in over.values())])
        return Candidate(measured, vector[-1], seen, proposed, tf.cast(sums, tf.float64),
                         tf.concat([vector, [*checks, 0.0]], axis=0), self._commit.scale() > 1.0)
