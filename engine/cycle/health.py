"""The health watch: what happens to an update whose terms or gradients are not finite, or whose objective spikes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from engine.errors import require

# on_bad_update -> how many bad updates in a row end the training
POLICIES = {"stop": 1, "skip": 10, "rollback": 1}


def limit(on_bad_update: str) -> int:
    """The number of consecutive bad updates at which the compiled loop stops."""
    require(on_bad_update in POLICIES, "on_bad_update", on_bad_update, f"one of {', '.join(POLICIES)}")
    return POLICIES[on_bad_update]


@dataclass(frozen=True)
class Spike:
    """When an objective that is finite counts as bad: far above what it was in the last updates of its phase.

    Attributes:
      window: Updates that it is compared with; before there are as many, none is a spike.
      standard_deviations: Largest distance above the window's median that is no spike, in standard deviations: 1.4826
        times the median distance from the median, the standard deviation of normal values; at least a thousandth of
        the median.
    """

    window: int = 100
    standard_deviations: float = 20.0

    def __post_init__(self) -> None:
        require(isinstance(self.window, int) and self.window >= 2, "window", self.window, "an integer of at least 2")
        require(self.standard_deviations > 0, "standard_deviations", self.standard_deviations, "above 0")


class SpikeWatch:
    """The objectives of a phase's last applied updates."""

    def __init__(self, spike: Spike) -> None:
        self._spike = spike
        self.values = tf.Variable(tf.zeros([spike.window]), trainable=False, name="objectives")
        self.count = tf.Variable(0, dtype=tf.int64, trainable=False, name="noted")

    def limit(self) -> tf.Tensor:
        """The highest objective that is no spike."""
        middle = self._spike.window // 2
        values = self.values.read_value()
        median = tf.sort(values)[middle]
        standard_deviation = 1.4826 * tf.sort(tf.abs(values - median))[middle]
        bound = median + self._spike.standard_deviations * tf.maximum(standard_deviation, 1e-3 * tf.abs(median))
        return tf.where(self.count.read_value() < self._spike.window, np.float32(np.inf), bound)

    def note(self, objective: tf.Tensor) -> None:
        """After an update that was applied."""
        count = self.count.read_value()
        place = tf.one_hot(count % self._spike.window, self._spike.window, on_value=True, off_value=False)
        self.values.assign(tf.where(place, objective, self.values.read_value()))
        self.count.assign(count + 1)


@dataclass(frozen=True)
class Fault:
    """A bad update: where it was, and the terms that were not finite; of a spike, the objective."""

    cycle: int
    phase: str
    update: int
    terms: dict[str, float]

    @classmethod
    def read(cls, cycle: int, phase: str, update: int, names: Sequence[str], values: np.ndarray) -> "Fault":
        """From the checked vector of an update. The objective is blamed only if no term is bad."""
        bad = {name: float(value) for name, value in zip(names, values, strict=True) if not np.isfinite(value)}
        causes = {name: value for name, value in bad.items() if name != "objective"}
        return cls(cycle, phase, update, causes or bad or {"objective": float(values[0])})

    def __str__(self) -> str:
        terms = ", ".join(f"{self.phase}/{name} is {value}{', a spike' * bool(np.isfinite(value))}"
                          for name, value in self.terms.items())
        return f"cycle {self.cycle}, phase {self.phase}, update {self.update}: {terms}"


class BadUpdate(RuntimeError):
    """Training stopped by the health watch; the state is that of the last good update."""

    def __init__(self, fault: Fault, in_a_row: int) -> None:
        self.fault, self.in_a_row = fault, in_a_row
        many = f" ({in_a_row} bad updates in a row)" if in_a_row > 1 else ""
        super().__init__(f"stopped by the health watch at {fault}{many}; nothing of that update was applied")
