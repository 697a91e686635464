"""Evaluator: metrics over a source, and pictures, of a trainer's nets, with averaged weights where there are any."""

from typing import Any

import numpy as np
import tensorflow as tf

from engine.cycle.converted import as_loss
from engine.cycle.scope import Scope
from engine.cycle.step_engine import StepEngine
from engine.data.handed import source_of
from engine.data.source import Source
from engine.noise import Noise
from engine.run.evaluate import Evaluation, first_examples
from engine.strategy import Loss, LossStrategy, Nets

KEPT = 8  # compiled evaluations of a run: a few parts of the data, each with a function or two


class Evaluator:
    """Evaluations, compiled once per function and source, and pictures.

    The ``KEPT`` evaluations that were used last are kept, and with them their sources: one that comes back after so
    many others is compiled anew.
    """

    def __init__(self, strategy: LossStrategy, nets: Nets, engine: StepEngine, seed: int) -> None:
        self._strategy, self._nets, self._engine, self._seed = strategy, nets, engine, seed
        self._evaluations: dict[tuple[int, Any], Evaluation] = {}

    def of(self, function: Loss, data: Any) -> Evaluation:
        """``function`` over ``data``, compiled by the plan of the engine: a source, or what ``source_of`` makes one of.

        Only that of a source is kept: arrays may be others at the next call.
        """
        source = self._source(data)
        place = id(source), function
        found = self._evaluations.pop(place, None) or Evaluation(
            function, self._nets, source, seed=self._seed, plan=self._engine.plan.name, averages=self._engine.averages,
            state=self._engine.state, workers=self._engine.division.workers)
        if source is not data:
            return found
        self._evaluations[place] = found  # the newest comes last
        if len(self._evaluations) > KEPT:
            del self._evaluations[next(iter(self._evaluations))]
        return found

    def _source(self, data: Any) -> Source:
        return source_of(data, batch_size=self._engine.source.batch_size, all_examples=True)

    def forget(self) -> None:
        """Compile anew: the plan is another one."""
        self._evaluations.clear()

    def pictures(self, data: Any, count: int) -> dict[str, np.ndarray]:
        """The strategy's pictures {name: [n, h, w, c] in [0, 1]} of the first ``count`` examples of ``data``."""
        source = self._source(data)
        raw = first_examples(source, count)
        found = len(next(iter(raw.values())))
        averages = self._engine.averages
        state = {name: variable.read_value() for name, variable in self._engine.state.items()}
        with Scope([(v, tf.convert_to_tensor(average)) for v, average in averages]):
            batch = source.transform(raw, Noise(self._seed, "pictures data", 0, found))
            pictures = as_loss(self._strategy.pictures, self._nets)(
                self._nets, batch, Noise(self._seed, "pictures", 0, found), state)
            return {name: tf.cast(images, tf.float32).numpy() for name, images in pictures.items()}
