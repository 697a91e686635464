"""The gradients of each phase as they are now, to look at. The training neither waits for them nor knows of them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from engine.cycle.candidates import Candidates
from engine.cycle.inputs import Context
from engine.cycle.plan import Plan
from engine.cycle.step_engine import StepEngine


class Gradients:
    """Computed in a function of their own for each phase, compiled when they are first asked for."""

    def __init__(self, engine: StepEngine) -> None:
        self._engine = engine
        self._functions: dict[str, Callable[..., list[tf.Tensor]]] = {}

    def now(self) -> dict[str, np.ndarray]:
        """{"<phase>/<net>/<variable>": gradient}, by the weights of now, of the batch that the phase will read next.

        As the optimizer would be handed it, before clipping. Without phases whose data can only be read in sequence, as
        a ``tf.data.Dataset``.
        """
        engine = self._engine
        found: dict[str, np.ndarray] = {}
        owner = {id(v): name for name, net in engine.nets.items() for v in net.trainable_variables}
        for number, (phase, part) in enumerate(engine.parts.items()):
            if part.inputs.in_sequence:
                continue
            if phase not in self._functions:
                self._functions[phase] = self._made(phase)
            batches = [tf.constant(each, tf.int64) for each in engine.schedule.first_batches(number, engine.place)]
            update = tf.constant(engine.completed[phase], tf.int64)
            gradients = self._functions[phase](update, batches, tf.constant(engine.rollbacks, tf.int64))
            found |= {f"{phase}/{owner[id(v)]}/{v.path}": gradient.numpy()
                      for v, gradient in zip(part.compute.variables, gradients, strict=True)}
        return found

    def _made(self, phase: str) -> Callable[..., list[tf.Tensor]]:
        part, plan = self._engine.parts[phase], Plan("eager" if self._engine.plan.name == "eager" else "graph")
        candidates = Candidates(part.compute, part.commit, plan, self._engine.division, whole=False)

        def gradients(update: tf.Tensor, batches: Any, rollbacks: tf.Tensor) -> list[tf.Tensor]:
            inputs = part.inputs.of(update, batches, Context({}, rollbacks))
            return list(candidates.of(update, inputs).measured.gradients[0])

        return plan.loop(gradients)
