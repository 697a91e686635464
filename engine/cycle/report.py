"""What one call of the compiled loop tells the host."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from engine.cycle import health
from engine.cycle.schedule import Schedule
from engine.cycle.state import LoopState, Place
from engine.cycle.step import Step

# phase -> term -> (exact sum over examples, their number); of a Ratio the sums of values and of weights
Totals = dict[str, dict[str, tuple[Fraction, int | Fraction]]]


@dataclass(frozen=True)
class Report:
    """One call of the compiled loop: totals over *all* its updates, and what the health watch saw."""

    totals: Totals
    rejected: dict[str, int]  # phase -> updates that were not applied
    fault: health.Fault | None  # the last bad update
    stopped: bool  # by the health watch: the state is that of the last good update
    waited: float = 0.0  # seconds, for batches that had to be read

    @classmethod
    def read(cls, steps: Sequence[Step], schedule: Schedule, start: Place, state: LoopState, stopped: bool) -> "Report":
        """From the loop's ``state`` (NumPy arrays) after a call that began at ``start``."""
        totals: Totals = {}
        rejected, place = {}, state.place
        for i, step in enumerate(steps):
            tally = state.tallies[i]
            rejected[step.phase.name] = int(tally.rejected)
            # The update at which the loop stopped is rejected and is not completed.
            here = stopped and schedule.phase_at(int(place.slot)) == i
            applied = int(place.completed[i]) - start.completed[i] - int(tally.rejected) + here
            sums = [Fraction(high) + Fraction(low) for high, low in tally.sums.T.tolist()]  # of means
            weights = iter(sums[len(step.names):])  # of each Ratio
            totals[step.phase.name] = {
                name: (total * examples, applied * examples) if examples else (total, next(weights))
                for name, total, examples in zip(step.names, sums, step.examples(), strict=False)}
        return cls(totals, rejected, _fault(steps, schedule, state), stopped, float(state.waited))


def _fault(steps: Sequence[Step], schedule: Schedule, state: LoopState) -> health.Fault | None:
    slot = int(state.fault_slot)
    if slot < 0:
        return None
    phase = schedule.phase_at(slot)
    step, vector = steps[phase], state.tallies[phase].fault
    names = [*step.names, *step.checks] if np.isfinite(vector[:len(step.names)]).all() else step.names
    return health.Fault.read(schedule.cycle(slot), step.phase.name, int(state.fault_update), names,
                             vector[:len(names)])
