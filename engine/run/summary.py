"""What summary.json says of a run."""

from collections.abc import Sequence
from typing import Any

from engine.cycle.step_engine import StepEngine
from engine.run import environment
from engine.run.counters import Counters
from engine.run.facts import RunFacts
from engine.run.pace import Pace


def summary(engine: StepEngine, facts: RunFacts, pace: Pace, started: float, doubts: Sequence[str]) -> dict[str, Any]:
    """Counters, speed, plan, determinism and versions of the run, as JSON values.

    Args:
      started: Seconds from the process's start to the training.
      doubts: Why a repeat may have other bits.
    """
    counters = Counters.of(engine)
    return {"cycles": counters.cycles, "epochs": counters.epoch, "batches": counters.batches,
            "updates": dict(counters.updates), "rejected": facts.rejected, "seconds": facts.seconds,
            "cycles_per_second": pace.cycles_per_second,
            "process_seconds": {"start": started, **pace.parts(facts.seconds - facts.seconds_before)},
            "rollbacks": engine.rollbacks, "best": facts.best.facts if facts.best else {},
            "stopped": facts.stopped, "faults": facts.faults, "deterministic": not doubts,
            "not_deterministic_because": list(doubts),
            "plan": engine.plan.name, "trial": facts.trial, "workers": engine.division.workers.count,
            "peak_memory_bytes": environment.peak_memory(), "versions": environment.versions()}
