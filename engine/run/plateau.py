"""A learning rate that falls when a metric of the evaluation has stopped getting better."""

import math
from collections.abc import Mapping
from typing import Any

from engine.errors import require


class Plateau:
    """Multiplies the learning rate by ``factor`` once ``metric`` has not got better for ``patience`` evaluations.

    Give it to a ``Trainer`` as one of its ``controllers``; it is fed by ``Trainer.note``. Its counts are part of the
    run's state, and the rate is one of the optimizer's: both are restored.

    Args:
      metric: A column of metrics.csv: "eval/<metric>" or "<phase>/<term>".
      factor: Factor of the learning rate, below 1.
      patience: Evaluations without a better one.
      better: "lower" or "higher".
      least: How much better counts.
      minimum: The rate falls no further.
      phase: Phase whose optimizers are slowed; None for all phases'.
    """

    def __init__(self, metric: str, factor: float = 0.1, patience: int = 10, better: str = "lower",
                 least: float = 0.0, minimum: float = 0.0, phase: str | None = None) -> None:
        require(0 < factor < 1, "factor", factor, "between 0 and 1")
        require(isinstance(patience, int) and patience >= 1, "patience", patience, "an integer of at least 1")
        require(better in ("lower", "higher"), "better", better, "lower or higher")
        require(least >= 0, "least", least, "at least 0")
        require(minimum >= 0, "minimum", minimum, "at least 0")
        self.metric, self.factor, self.patience, self.better = metric, factor, patience, better
        self.least, self.minimum, self.phase = least, minimum, phase
        self.best: float | None = None
        self.waited = 0  # evaluations since the best

    def attach(self, trainer: Any) -> None:
        """Called by the trainer that it is given to. Raises ``Invalid`` for a rate that is a schedule."""
        for optimizer in self._optimizers(trainer):
            rate = optimizer.learning_rate
            require(hasattr(rate, "assign"), "learning rate", rate, "a number, not a schedule, for a Plateau to change")
        trainer.register(f"plateau of {self.metric}", lambda: [self.best, self.waited], self._restore)

    def note(self, trainer: Any, metrics: Mapping[str, float]) -> None:
        """After an evaluation."""
        value = metrics.get(self.metric)
        if value is None:
            return
        if math.isfinite(value) and (self.best is None or self._is_better(value)):
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited < self.patience:
            return
        self.waited = 0
        for optimizer in self._optimizers(trainer):
            rate = float(optimizer.learning_rate.numpy())
            lower = max(self.minimum, rate * self.factor)
            if lower < rate:
                optimizer.learning_rate.assign(lower)
                trainer.say(f"learning rate {rate:.4g} -> {lower:.4g}: {self.metric} has not got better than "
                            f"{self.best} for {self.patience} evaluations")

    def _is_better(self, value: float) -> bool:
        assert self.best is not None
        gain = value - self.best if self.better == "higher" else self.best - value
        return gain > self.least

    def _restore(self, kept: Any) -> None:
        self.best, self.waited = kept or (None, 0)

    def _optimizers(self, trainer: Any) -> list[Any]:
        parts = trainer.engine.parts
        require(self.phase is None or self.phase in parts, "phase", self.phase, f"one of {', '.join(parts)}")
        chosen = parts.values() if self.phase is None else [parts[self.phase]]
        return list({id(each): each for part in chosen for each in part.commit.update.optimizers}.values())
