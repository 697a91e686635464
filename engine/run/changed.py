"""What was changed after a trainer was made. The compiled loop would not see it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from engine.cycle.keras_internals import rate_of
from engine.cycle.step_engine import StepEngine
from engine.errors import require
from engine.strategy import LossStrategy

SHOWN = ("metrics", "pictures")  # not of the loop


class Unchanged:
    """A note of what the loop was traced with.

    Args:
      strategy: Strategy whose attributes are compared: numbers, texts, arrays and collections of these by value, other
        objects by identity.
    """

    def __init__(self, strategy: LossStrategy, engine: StepEngine) -> None:
        self._strategy, self._engine = strategy, engine
        self._attributes, self._trainable, self._rates = self._now()

    def check(self) -> None:
        """Raises ``Invalid`` for what is another than it was."""
        attributes, trainable, rates = self._now()
        for name in sorted({*attributes, *self._attributes}):
            require(_same(attributes.get(name), self._attributes.get(name)), f"strategy.{name}", attributes.get(name),
                    f"as it was when the Trainer was made, {self._attributes.get(name)}: the loss is compiled; make a "
                    "new Trainer, or let a weight be a function of the update")
        for name, paths in trainable.items():
            changed = sorted(paths ^ self._trainable[name])
            require(not changed, f"trainable of net {name}", ", ".join(changed[:3]), "as it was when the Trainer was "
                    "made: make a new Trainer, or use Update({pattern: optimizer})")
        for name, rate in rates.items():
            require(rate is self._rates[name], f"learning rate of phase {name}", rate,
                    "the schedule that it was when the Trainer was made; to optimizer.learning_rate a number may be "
                    "assigned")

    def _now(self) -> tuple[dict[str, Any], dict[str, set[str]], dict[str, Any]]:
        trainable = {name: {v.path for v in net.trainable_variables} for name, net in self._engine.nets.items()}
        rates = {f"{name} ({optimizer.name})": rate_of(optimizer) for name, part in self._engine.parts.items()
                 for optimizer in part.commit.update.optimizers}
        attributes = {name: _copied(value) for name, value in vars(self._strategy).items() if name not in SHOWN}
        return attributes, trainable, rates


def _copied(value: Any) -> Any:
    """``value``, so that what is put into a collection or array later does not change the note."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if type(value) in (list, tuple):
        return [_copied(each) for each in value]
    return {key: _copied(each) for key, each in value.items()} if type(value) is dict else value


def _same(now: Any, before: Any) -> bool:
    if isinstance(now, list) and isinstance(before, list):
        return len(now) == len(before) and all(map(_same, now, before))
    if isinstance(now, Mapping) and isinstance(before, Mapping):
        return now.keys() == before.keys() and all(_same(now[key], before[key]) for key in now)
    if isinstance(now, np.ndarray) and isinstance(before, np.ndarray):
        return bool(np.array_equal(now, before, equal_nan=now.dtype.kind == "f"))
    plain = (bool, int, float, str)
    return now is before or (isinstance(now, plain) and isinstance(before, plain) and now == before)
