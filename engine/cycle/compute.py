"""From a part of a batch to terms and gradients. Pure: it reads the weights that it is handed, and assigns nothing."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from engine.cycle.buckets import Buckets
from engine.cycle.converted import as_loss, converted
from engine.cycle.division import Division
from engine.cycle.inputs import Inputs
from engine.cycle.measured import Given, Measured, Objective
from engine.cycle.names import named
from engine.cycle.reads import Reads
from engine.cycle.scope import Scope
from engine.cycle.synchronised import Drawn, of_one_batch
from engine.cycle.terms import Form, mean_of, regularization, sums_of
from engine.cycle.trace import Traced
from engine.cycle.variables import seed_states, trainable
from engine.noise import Noise
from engine.strategy import Nets, Phase


class Compute:
    """One phase's loss and its gradients, of one of ``parts`` of a batch. ``variables``: those that the phase moves."""

    count = 1  # that it computes at once

    def __init__(self, phase: Phase, traced: Traced, nets: Nets, reads: Reads, division: Division,
                 variables: Sequence[Any] | None = None, drawn: Drawn | None = None) -> None:
        self.phase, self.traced, self.reads, self.nets = phase, traced, reads, nets
        self._division, self._drawn, self.parts = division, drawn, division.count  # of a batch
        lost = {id(variable) for variable in traced.without_gradient}  # a momentum would move them all the same
        every = trainable(phase, nets) if variables is None else list(variables)
        self.variables = [variable for variable in every if id(variable) not in lost] or every  # refused later
        self._seeds, self.buckets = seed_states(nets), Buckets(reads, traced)
        self._loss = as_loss(phase.loss, nets)
        self._transforms = {name: converted(source.transform) for name, source in reads.sources.items()}
        self._schedules = {name: converted(weight) for name, weight in phase.weights.items() if callable(weight)}
        self.counted = [*(name for name in traced.terms if name not in phase.watch),
                        *["regularization"] * traced.regularized]
        self.names = ["objective", *traced.terms, *["regularization"] * traced.regularized]

    def of_part(self, count: int) -> "Compute":
        """The same of one of ``count`` equal parts."""
        other = copy.copy(self)
        other.parts *= count
        return other

    def weights(self) -> list[tf.Tensor]:
        """What the phase moves, as it is now."""
        return [tf.convert_to_tensor(v.value) for v in self.variables]

    def factors(self, update: tf.Tensor) -> dict[str, Any]:
        """{term: its factor in the objective} at an update."""
        return {name: tf.cast(self._schedules[name](update), tf.float32) if name in self._schedules
                else self.phase.weights.get(name, 1.0) for name in self.counted}

    def gradients(self, given: Given, inputs: Inputs, objectives: Sequence[Objective | None] = (None,),
                  cut: bool = False) -> Measured:
        """The gradients of ``objectives`` (None is the phase's) and the means of the terms.

        The nets run in a ``Scope``: they read weights, statistics and seeds from there and assign nothing, so an
        update that turns out bad leaves no trace.

        Args:
          cut: The inputs have the form of their bucket.
        """
        if self.buckets.declared and not cut:
            found: Measured = self.buckets.choose(inputs, lambda p: self.gradients(given, p, objectives, cut=True))
            return found
        values = self._values(given, inputs)
        weights = [value for _, value in values[:len(self.variables)]]
        with (named(self.phase.name, "loss"),
              tf.GradientTape(persistent=len(objectives) > 1, watch_accessed_variables=False) as tape):
            tape.watch(weights)
            with Scope(values, tape, self.variables) as scope:
                results = self._results(given, inputs)
                means = self._means(results, given)
            factors = self.factors(given.update)
            true = tf.add_n([factors[name] * means[name] for name in self.counted])
            scaled = [true if each is None else tf.add_n([factor * means[name] for name, factor in each.items()])
                      for each in objectives]
            scaled = [each * given.scale for each in scaled]
        leaves = [scope.leaves[id(v)] for v in self.variables]
        gradients = [_summed(tape.gradient(each, leaves, unconnected_gradients="zero")) for each in scaled]
        totals = [tf.stack(sums_of(results[name])) for name in self.traced.ratios]
        return Measured(tf.stack([true, *means.values()]), tf.reshape(tf.stack(totals) if totals else [], [-1, 2]),
                        gradients, [scope.get_current_value(v) for v in self.traced.assigned],
                        {name: tf.convert_to_tensor(results[name]) for name in self.phase.passes})

    def sums(self, given: Given, inputs: Inputs, cut: bool = False) -> tf.Tensor:
        """[R, 2]: of each ``Ratio`` the sums of values and of weights."""
        if self.buckets.declared and not cut:
            return self.buckets.choose(inputs, lambda part: self.sums(given, part, cut=True))
        with Scope(self._values(given, inputs)):
            results = self._results(given, inputs)
            sums = [sums_of(results[name]) for name in self.traced.ratios]
            # If no gradient comes by the weights, the sum of values is not needed, nor then the nets to get it.
            return tf.stack([tf.stack(each if self.traced.weights_move else [0.0, each[1]]) for each in sums])

    def rows(self, given: Given, inputs: Inputs) -> dict[str, tf.Tensor]:
        """The numbers of each term, and what is passed on, before any mean."""
        with Scope(self._values(given, inputs)):
            results = self._results(given, inputs)
        return {name: self.traced.terms.get(name, Form.EXAMPLES).values(each) for name, each in results.items()}

    def assigned(self, given: Given, inputs: Inputs, others: Sequence[tuple[Any, Any]], cut: bool = False
                 ) -> list[tf.Tensor]:
        """What the forward pass assigns, with ``others`` (variable, value) in place of what the nets hold."""
        if self.buckets.declared and not cut:
            found: list[tf.Tensor] = self.buckets.choose(inputs, lambda p: self.assigned(given, p, others, cut=True))
            return found
        started = {id(v) for v in self.traced.assigned}
        kept = [(v, tf.convert_to_tensor(value)) for v, value in others if id(v) not in started]
        with Scope([*self._values(given, inputs), *kept]) as scope:
            self._results(given, inputs)
        return [scope.get_current_value(v) for v in self.traced.assigned]

    def _values(self, given: Given, inputs: Inputs) -> list[tuple[Any, tf.Tensor]]:
        """(variable, value) of all that the update hands to the nets, the trained ones first."""
        assigned = {id(v): (v, value) for v, value in zip(self.traced.assigned, given.assigned, strict=True)}
        # A trained variable that the micro-batch before has assigned begins there.
        weights = self.weights() if given.weights is None else given.weights
        trained = [assigned.pop(id(v), (v, value)) for v, value in zip(self.variables, weights, strict=True)]
        return [*trained, *assigned.values(),
                *zip(self._seeds, tf.unstack(inputs.seeds, len(self._seeds)), strict=True)]

    def _results(self, given: Given, inputs: Inputs) -> Mapping[str, Any]:
        sizes = {name: size // self.parts for name, size in self.reads.sizes.items()}
        batches = {name: self._transforms[name](raw, Noise(examples=sizes[name], drawn=inputs.data[name]))
                   for name, raw in inputs.raw.items()}
        noise = Noise(update=given.update, examples=self.reads.examples // self.parts, drawn=inputs.loss, sizes=sizes)
        with of_one_batch(self._division, self.parts, self.reads, self._drawn, inputs.raw):
            return dict(self._loss(self.nets, self.reads.batch_of(batches), noise, given.state))

    def _means(self, results: Mapping[str, Any], given: Given) -> dict[str, tf.Tensor]:
        ratios = dict(zip(self.traced.ratios, [None] * len(self.traced.ratios) if given.ratios is None
                          else tf.unstack(given.ratios, len(self.traced.ratios)), strict=True))
        means = {name: mean_of(form, results[name], ratios.get(name)) for name, form in self.traced.terms.items()}
        if self.traced.regularized:
            means["regularization"] = tf.add_n(regularization(self.phase, self.nets))
        return means


def _summed(gradients: list[list[tf.Tensor]]) -> list[tf.Tensor]:
    """Over the leaves of each variable."""
    return [tf.convert_to_tensor(each[0]) if len(each) == 1 else tf.add_n([tf.convert_to_tensor(g) for g in each])
            for each in gradients]
