"""Which update, of which phase, on which batch: all from one integer.

``position`` is the number of updates behind a run. The arithmetic here holds for Python's integers and for
int64 tensors alike.
"""

from collections.abc import Sequence
from typing import Any


class Order:
    """The order of updates in a cycle.

    Args:
      repeats: Updates of each phase per cycle.
      batches: Batches that an update of each phase reads.
    """

    def __init__(self, repeats: Sequence[int], batches: Sequence[int]) -> None:
        self.repeats, self._batches = list(repeats), list(batches)
        self.starts = [sum(self.repeats[:index]) for index in range(len(self.repeats))]  # within a cycle
        self.updates_per_cycle = sum(self.repeats)
        self.batches_per_cycle = self._before(len(self.repeats))

    def cycle(self, position: Any) -> Any:
        """Whole cycles behind ``position``."""
        return position // self.updates_per_cycle

    def offset(self, position: Any) -> Any:
        """Updates of the current cycle behind ``position``."""
        return position % self.updates_per_cycle

    def updates(self, phase: int, position: Any) -> Any:
        """Updates of the phase behind ``position``."""
        repeats = self.repeats[phase]
        remaining = _at_least_0(repeats - _at_least_0(self.offset(position) - self.starts[phase]))
        return (self.cycle(position) + 1) * repeats - remaining

    def first_batch(self, phase: int, update: Any) -> Any:
        """Number of the batch at which the phase's update number ``update`` begins to read."""
        repeats = self.repeats[phase]
        return (update // repeats * self.batches_per_cycle + self._before(phase)
                + update % repeats * self._batches[phase])

    def batches(self, position: int) -> int:
        """Batches read by the updates behind ``position``."""
        return sum(self.updates(phase, position) * each for phase, each in enumerate(self._batches))

    def phase_at(self, position: int) -> int:
        """The phase of the update number ``position`` of a run."""
        return max(phase for phase, start in enumerate(self.starts) if start <= self.offset(position))

    def _before(self, phase: int) -> int:
        """Batches of a cycle that are read before the phase."""
        return sum(each * repeats for each, repeats in zip(self._batches[:phase], self.repeats, strict=False))


def _at_least_0(number: Any) -> Any:
    return (number + abs(number)) // 2
