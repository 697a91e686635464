"""The health watch: what happens to an update whose terms or gradients are not finite."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.errors import require

# on_bad_update -> how many bad updates in a row end the training
POLICIES = {"stop": 1, "skip": 10}


def limit(on_bad_update: str) -> int:
    """The number of consecutive bad updates at which the compiled loop stops."""
    require(on_bad_update in POLICIES, "on_bad_update", on_bad_update, f"one of {', '.join(POLICIES)}")
    return POLICIES[on_bad_update]


@dataclass(frozen=True)
class Fault:
    """A bad update: where it was, and the terms that were not finite."""

    cycle: int
    phase: str
    update: int
    terms: dict[str, float]

    @classmethod
    def read(cls, cycle: int, phase: str, update: int, names: Sequence[str], values: np.ndarray) -> "Fault":
        """From the checked vector of an update. The objective is blamed only if no term is bad."""
        bad = {name: float(value) for name, value in zip(names, values, strict=True) if not np.isfinite(value)}
        causes = {name: value for name, value in bad.items() if name != "objective"}
        return cls(cycle, phase, update, causes or bad)

    def __str__(self) -> str:
        terms = ", ".join(f"{self.phase}/{name} is {value}" for name, value in self.terms.items())
        return f"cycle {self.cycle}, phase {self.phase}, update {self.update}: {terms}"


class BadUpdate(RuntimeError):
    """Training stopped by the health watch; the state is that of the last good update."""

    def __init__(self, fault: Fault, in_a_row: int) -> None:
        self.fault, self.in_a_row = fault, in_a_row
        many = f" ({in_a_row} bad updates in a row)" if in_a_row > 1 else ""
        super().__init__(f"stopped by the health watch at {fault}{many}; nothing of that update was applied")
