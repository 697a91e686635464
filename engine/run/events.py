"""Events: *when* (``Every``) and *what* (a callable) are apart."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from engine.cycle.report import Report
from engine.errors import require


class Means:
    """Totals of terms over any number of calls: exact sums and counts, divided once, at the edge."""

    def __init__(self) -> None:
        self.totals: dict[str, tuple[Fraction, int | Fraction]] = {}

    def add(self, report: Report) -> None:
        """Count in one call of the compiled loop."""
        for phase, terms in report.totals.items():
            for term, (total, count) in terms.items():
                before = self.totals.get(f"{phase}/{term}", (Fraction(), 0))
                self.totals[f"{phase}/{term}"] = before[0] + total, before[1] + count

    def means(self) -> dict[str, float]:
        """{"phase/term": mean}; NaN where no update was applied."""
        return {name: float(total / count) if count else math.nan for name, (total, count) in self.totals.items()}

    def saved(self) -> dict[str, tuple[str, str]]:
        """The totals as JSON values."""
        return {name: (str(total), str(count)) for name, (total, count) in self.totals.items()}

    def restore(self, saved: Mapping[str, tuple[str, str]]) -> None:
        """Go on from what ``saved`` gave."""
        self.totals = {name: (Fraction(total), Fraction(count)) for name, (total, count) in saved.items()}

    def clear(self) -> None:
        """Start a new interval."""
        self.totals.clear()


class Every:
    """When an event is due: every so many cycles, epochs or seconds. Exactly one must be given.

    Cycles and epochs are counted from the start of the run, so a continued run keeps the beat; an epoch
    ends with the first cycle that reaches it. Seconds are counted from the last time.
    """

    def __init__(self, *, cycles: int | None = None, epochs: float | None = None,
                 seconds: float | None = None) -> None:
        given = {"cycles": cycles, "epochs": epochs, "seconds": seconds}
        chosen = {name: value for name, value in given.items() if value is not None}
        require(len(chosen) == 1, "Every", chosen, "given exactly one of cycles, epochs, seconds")
        (self.unit, self.amount), = chosen.items()
        require(self.amount > 0, f"Every {self.unit}", self.amount, "above 0")
        require(self.unit != "cycles" or int(self.amount) == self.amount, "Every cycles", self.amount, "an integer")

    def __repr__(self) -> str:
        return f"Every({self.unit}={self.amount:g})"

    def next_cycle(self, cycles: int, cycles_per_epoch: float) -> float:
        """The first cycle after ``cycles`` at which this is due; infinity for seconds."""
        if self.unit == "seconds":
            return math.inf
        step = self.amount * (cycles_per_epoch if self.unit == "epochs" else 1)
        beat = math.floor(cycles / step + 1e-9) + 1
        while math.ceil(beat * step - 1e-6) <= cycles:
            beat += 1
        return math.ceil(beat * step - 1e-6)


@dataclass(frozen=True)
class Stop:
    """What an event returns to end the training, and why."""

    why: str


@dataclass
class Event:
    """``what(trainer, means)`` whenever ``when`` says so, and once at the end if ``at_end``.

    ``means`` holds the exact means of all terms since this event's last time. What it wants done it returns: "save" for
    a checkpoint when all events that are due have acted, or ``Stop(why)``. With ``remembered`` a checkpoint holds the
    means of the interval that has begun.
    """

    when: Every
    what: Callable[[Any, dict[str, float]], Any]
    at_end: bool = True
    remembered: bool = True
    interval: Means = field(default_factory=Means)
    due_cycle: float = 0.0
    last_seconds: float = 0.0

    def start(self, cycles: int, cycles_per_epoch: float, seconds: float) -> None:
        """Set the next time, at the start of training and after each time."""
        self.due_cycle = self.when.next_cycle(cycles, cycles_per_epoch)
        self.last_seconds = seconds

    def due(self, cycles: int, seconds: float) -> bool:
        """Is it time?"""
        if self.when.unit == "seconds":
            return seconds - self.last_seconds >= self.when.amount
        return cycles >= self.due_cycle
