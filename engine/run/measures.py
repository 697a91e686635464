"""What can be computed with a trainer's nets beside their training: metrics, pictures, a check, the speed."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from engine.data.source import Source
from engine.run.check import Check, check
from engine.run.evaluator import Evaluator
from engine.run.reestimate import reestimate
from engine.run.trial import speed_of
from engine.run.view import View
from engine.strategy import Loss, LossStrategy


class Measures(View):
    """Of a trainer. On several workers all must ask for the same, in the same order.

    Attributes:
      strategy: What is minimised.
      nets: Nets by name.
      warnings: What the preflight found that is no fault.
    """

    strategy: LossStrategy
    nets: Mapping[str, Any]
    warnings: list[str]
    _held_out: Source | None
    _evaluator: Evaluator
    _clock: Callable[[], float]
    _plan: str

    def metric_names(self, source: Source) -> list[str]:
        """What ``evaluate(source)`` gives."""
        return self._evaluator.of(self.strategy.metrics, source).names

    def columns(self) -> list[str]:
        """What metrics.csv has of means: of ``held_out`` and of the phases' terms."""
        evaluated = [] if self._held_out is None else [f"eval/{name}" for name in self.metric_names(self._held_out)]
        return [*evaluated, *(f"{phase}/{name}" for phase, names in self.term_names.items() for name in names)]

    def evaluate(self, source: Source) -> dict[str, float]:
        """The strategy's metrics on ``source``, averaged over exactly its examples, with averaged weights."""
        return self._evaluator.of(self.strategy.metrics, source).means()

    def examples(self, function: Loss, source: Source) -> dict[str, np.ndarray]:
        """``function(nets, batch, noise) -> {name: [B, ...]}`` for every example of ``source``, in order."""
        return self._evaluator.of(function, source).examples()

    def reestimate(self, batches: int, phase: str | None = None) -> None:
        """Measure the statistics of batch normalisation anew, with the weights that evaluation uses.

        By the next ``batches`` batches of ``phase`` (None: the first that has any); they do not count as read.
        """
        reestimate(self.engine, phase, batches)

    def pictures(self, count: int, source: Source | None = None) -> dict[str, np.ndarray]:
        """The strategy's pictures {name: [n, h, w, c] in [0, 1]} of the first ``count`` examples of ``source``.

        The draws are the same each time: pictures of different cycles show the same latents.
        """
        return self._evaluator.pictures(source or self.data, count)

    def check(self, *, cycles: int | None = None, epochs: float | None = None) -> Check:
        """What the run would do and cost, and what is wrong with it: every phase is tried, and nothing changed.

        ``cycles`` or ``epochs`` is the length that the time is estimated for; an epoch if neither is given.
        """
        target = self.cycles_of(cycles=cycles, epochs=epochs if cycles or epochs else 1.0)
        return check(self.engine, self.nets, self.warnings, target)

    def measure(self, *, cycles: int | None = None, epochs: float | None = None) -> float:
        """Cycles per second of such a run by its plan. The state is then that of a few updates, of no further use."""
        target = self.cycles_of(cycles=cycles, epochs=epochs)
        return speed_of(self.engine, target, self._clock, choose=self._plan == "auto")
