"""One update of one phase: compute it, look at it, and apply it or leave it."""

from collections.abc import Callable
from typing import Any, TypeAlias

import tensorflow as tf

from engine.cycle.candidates import Candidate, Candidates
from engine.cycle.commit import Commit
from engine.cycle.compute import Compute
from engine.cycle.division import Division
from engine.cycle.inputs import Inputs, PhaseInputs
from engine.cycle.measured import Measured
from engine.cycle.plan import Plan
from engine.cycle.state import Outcome, Tally
from engine.cycle.sums import added
from engine.cycle.terms import Form

Due: TypeAlias = tf.Tensor | bool


class Step:
    """One phase as the loops see it.

    Under XLA, of an undivided batch, the whole update, health check and counting included, is one part for the plan to
    compile; of a divided one the gradients are one, and what follows their sum is another.

    Args:
      seldom: ``advance`` is: then it need not be fast, nor the fast way be compiled.
    """

    def __init__(self, compute: Compute, inputs: PhaseInputs, commit: Commit, plan: Plan, division: Division) -> None:
        self.compute, self.inputs, self.commit, self.phase = compute, inputs, commit, compute.phase
        whole = plan.name == "xla" and division.whole
        self.candidates = Candidates(compute, commit, plan, division, whole)
        self.names, self.checks = self.candidates.names, self.candidates.checks
        self.advance: Callable[..., Outcome] = plan.part(self._advance) if whole else self._advance
        # Of a divided batch, which is added up between two units.
        apart = plan.name == "xla" and not whole
        self._judged: Callable[..., Outcome] = plan.part(self._judge) if apart else self._judge
        self.rush: Callable[..., Outcome] = plan.part(self._rush)
        self.seldom = False
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

    def _advance(self, update: tf.Tensor, streak: tf.Tensor, tally: Tally, inputs: Inputs, due: Due = True) -> Outcome:
        """Run update number ``update`` (int64) on its inputs, if due and good."""
        measured = self.candidates.measured(update, inputs)
        if due is True:
            return self._judged(measured, streak, tally)
        return tf.cond(due, lambda: self._judged(measured, streak, tally),
                       lambda: Outcome(streak, tally, tf.constant(False)))

    def _judge(self, measured: Measured, streak: tf.Tensor, tally: Tally) -> Outcome:
        return self._settle(self.candidates.looked_at(measured), streak, tally)

    def _settle(self, found: Candidate, streak: tf.Tensor, tally: Tally) -> Outcome:
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

    def select(self, update: tf.Tensor, streak: tf.Tensor, tally: Tally, inputs: Inputs, due: Due = True) -> Outcome:
        """The same as ``advance`` without a branch, at which a GPU would wait for the host.

        Each variable is assigned its new value or the old one.
        """
        before = self.commit.before()
        found = self.candidates.of(update, inputs)
        good = self._good(found)
        stands = self.commit.kept_if(before, found.update, good & due)
        if self.commit.loss_scale is not None:
            self.commit.loss_scale.shrink(~good & due)
        sums = tf.where(stands, added(tally.sums, found.sums), tally.sums)
        outcome = self._counted(found, streak, tally, sums, good, stands)
        return tf.nest.map_structure(lambda new, old: tf.where(due, new, old), outcome,
                                     Outcome(streak, tally, tf.constant(False)))

    def _rush(self, update: tf.Tensor, streak: tf.Tensor, tally: Tally, inputs: Inputs, due: Due = True) -> Outcome:
        """The same, good or bad: at fault unless it was good and calm, and then whoever calls undoes it."""
        found = self.candidates.of(update, inputs)
        sound = self._good(found) & self.commit.is_calm(found.norm)
        self.commit.apply(*found.update)
        return Outcome(tf.zeros_like(streak), tally._replace(sums=added(tally.sums, found.sums)), ~sound)

    def _guarded_apart(self, *update: Any) -> tf.Tensor:
        return self.commit.guarded(*update)

    def _good(self, found: Candidate) -> tf.Tensor:
        """Whether all is finite, and the objective no spike."""
        good = tf.reduce_all(tf.math.is_finite(found.checked))
        spikes = self.commit.spikes
        return good if spikes is None else good & (found.objective <= spikes.limit())

    def _counted(self, found: Candidate, streak: tf.Tensor, tally: Tally, sums: tf.Tensor, good: tf.Tensor,
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
