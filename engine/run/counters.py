"""Counters: what is behind a run. Every schedule, limit, event and log line names the one it counts."""

from collections.abc import Mapping
from dataclasses import dataclass

from engine.cycle.step_engine import StepEngine


@dataclass(frozen=True)
class Counters:
    """The counters of a run at one moment.

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
        return cls(engine.cycles, engine.updates, batches, batches / engine.source.batches_per_epoch)
