"""Which update comes next, of which phase, on which batches. For Python's integers and int64 tensors alike.

A cycle has ``repeats`` slots for each phase, in order. A slot is not due if its phase rests in this cycle (``every``)
or its ``when`` says no.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.cycle.reads import Reads
from engine.cycle.state import Place
from engine.strategy import Counts, Phase


class Schedule:
    """The slots of a cycle.

    Args:
      reads: What each phase reads.
      sources: Names of all sources, in order.
      accumulate: Batches that an update of each phase reads from a source.
    """

    def __init__(self, phases: Sequence[Phase], reads: Sequence[Reads], sources: Sequence[str],
                 accumulate: Sequence[int]) -> None:
        self.phases = list(phases)
        self.starts = [sum(phase.repeats for phase in self.phases[:i]) for i in range(len(self.phases))]
        self.slots_per_cycle = sum(phase.repeats for phase in self.phases)
        self.takes = [[0 if each.again or name not in each.sources else number for name in sources]
                      for each, number in zip(reads, accumulate, strict=True)]  # [phase][source]
        self._rereads = [number if each.again else 0 for each, number in zip(reads, accumulate, strict=True)]
        # Batches of the first source in a cycle, on average, if every update that may be due is.
        self.batches_per_cycle = sum(takes[0] * phase.repeats / phase.every
                                     for takes, phase in zip(self.takes, self.phases, strict=True))

    def start(self) -> Place:
        """Of a new run."""
        return Place(0, (0,) * len(self.phases), (0,) * len(self.takes[0]))

    def cycle(self, slot: Any) -> Any:
        """Completed cycles at ``slot``."""
        return slot // self.slots_per_cycle

    def offset(self, slot: Any) -> Any:
        """Completed slots of the cycle of ``slot``."""
        return slot % self.slots_per_cycle

    def phase_at(self, slot: int) -> int:
        """The phase of a slot."""
        return max(phase for phase, start in enumerate(self.starts) if start <= self.offset(slot))

    def always(self, phase: int) -> bool:
        """Whether each slot of the phase is due."""
        return self.phases[phase].every == 1 and self.phases[phase].when is None

    @property
    def is_static(self) -> bool:
        """Whether the schedule follows from the slot alone."""
        return all(phase.when is None for phase in self.phases)

    def runs(self, phase: int, place: Place) -> Any:
        """Whether the phase runs in the cycle of ``place``, whatever its ``when`` says."""
        return self.cycle(place.slot) % self.phases[phase].every == 0

    def due(self, phase: int, place: Place, state: Mapping[str, Any]) -> Any:
        """Whether the slot of ``place``, which is one of the phase's, is due."""
        mine, cycle, runs = self.phases[phase], self.cycle(place.slot), self.runs(phase, place)
        if mine.when is None:
            return runs
        completed = {each.name: count for each, count in zip(self.phases, place.completed, strict=True)}
        return runs & mine.when(Counts(cycle, self.offset(place.slot) - self.starts[phase], completed), state)

    def passed(self, phase: int, place: Place, by: Any = 1) -> Place:
        """``place`` after an update of the phase, or none if ``by`` is 0."""
        completed = tuple(count + by if i == phase else count for i, count in enumerate(place.completed))
        batches = tuple(count + by * take if take else count
                        for count, take in zip(place.batches, self.takes[phase], strict=True))
        return Place(place.slot + by, completed, batches)

    def first_batches(self, phase: int, place: Place) -> tuple[Any, ...]:
        """Number of the batch of each source at which the phase's next update begins to read."""
        back = self._rereads[phase]
        return tuple(_at_least_0(count - back) if back else count for count in place.batches)

    def between(self, phase: int, first: Any, last: Any) -> Any:
        """Updates of the phase in the slots from ``first`` to ``last``; of a static schedule."""
        return self._before(phase, last) - self._before(phase, first)

    def later(self, phase: int, start: Place, number: Any) -> Place:
        """The place of the phase's update that comes ``number`` updates of it after ``start``; of a static schedule."""
        mine = self.phases[phase]
        of_all = self._before(phase, start.slot) + number
        slot = (of_all // mine.repeats * mine.every * self.slots_per_cycle + self.starts[phase]
                + of_all % mine.repeats)
        return self.shifted(start, slot)

    def shifted(self, start: Place, slot: Any) -> Place:
        """The place of ``slot``, of a run that stood at ``start``; of a static schedule."""
        between = [self.between(phase, start.slot, slot) for phase in range(len(self.phases))]
        batches = tuple(
            sum((between[phase] * takes[source] for phase, takes in enumerate(self.takes) if takes[source]), count)
            for source, count in enumerate(start.batches))
        return Place(slot, tuple(a + b for a, b in zip(start.completed, between, strict=True)), batches)

    def at_most(self, phase: int, cycles: int) -> int:
        """The most updates of the phase in the slots of so many cycles, wherever they begin."""
        mine = self.phases[phase]
        return mine.repeats * (cycles if mine.every == 1 else min(cycles, cycles // mine.every + 2))

    def _before(self, phase: int, slot: Any) -> Any:
        """Updates of the phase in the slots before ``slot``, whatever its ``when`` says."""
        mine, cycle = self.phases[phase], self.cycle(slot)
        within = mine.repeats - _at_least_0(mine.repeats - _at_least_0(self.offset(slot) - self.starts[phase]))
        whole = (cycle + mine.every - 1) // mine.every * mine.repeats
        if mine.every == 1:
            return whole + within
        runs = 1 - (cycle % mine.every + mine.every - 1) // mine.every  # 1 in a cycle in which the phase runs
        return whole + runs * within


def _at_least_0(number: Any) -> Any:
    return (number + abs(number)) // 2
