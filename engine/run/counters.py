"""Counters: what a run has completed. Every schedule, limit, event and log line names the one it counts."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from engine.cycle.step_engine import StepEngine
from engine.errors import require


@dataclass(frozen=True)
class Counters:
    """The counters of a run, at one time.

    Attributes:
      cycles: Whole cycles.
      updates: Updates per phase, the ones that the health watch rejected included.
      batches: Training batches read from the first source, those that a rollback passed over included.
      epoch: ``batches / batches_per_epoch`` of that source, a float.
    """

    cycles: int
    updates: Mapping[str, int]
    batches: int
    epoch: float

    @classmethod
    def of(cls, engine: StepEngine) -> "Counters":
        """The counters of ``engine`` now."""
        batches = engine.place.batches[0]
        return cls(engine.cycles, engine.completed, batches, batches / engine.source.batches_per_epoch)


def cycles_of(cycles_per_epoch: float, cycles: int | None, epochs: float | None) -> int:
    """The number of cycles that the one that is given means; an epoch ends with a whole cycle."""
    require((cycles is None) != (epochs is None), "train", {"cycles": cycles, "epochs": epochs},
            "given exactly one of cycles and epochs")
    name, value = ("epochs", epochs) if cycles is None else ("cycles", float(cycles))
    assert value is not None
    require(math.isfinite(value) and value > 0, name, value, "above 0")
    return math.ceil(value * (cycles_per_epoch if cycles is None else 1) - 1e-6)
