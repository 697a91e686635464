"""Counters: what is behind a run. Every schedule, limit, event and log line names the one it counts."""

from collections.abc import Mapping
from dataclasses import dataclass

from engine.cycle.step import StepEngine


@dataclass(frozen=True)
class Counters:
    """The counters of a run at one moment; all follow from one integer, the engine's position.

    Attributes:
      cycles: Whole cycles.
      updates: Updates per phase, the ones that the health watch rejected included.
      batches: Training batches drawn, those that a rollback passed over included.
      epoch: ``batches / batches_per_epoch``, a float.
    """

    cycles: int
    updates: Mapping[str, int]
    batches: int
    epoch: float

    @classmethod
    def of(cls, engine: StepEngine) -> "Counters":
        """The counters of ``engine`` now."""
        done = engine.updates_done(engine.position)
        batches = done.pop("")
        return cls(engine.order.cycle(engine.position), done, batches,
                   batches / engine.source.batches_per_epoch)
