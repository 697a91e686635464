"""Axes with nice numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

PIXELS = 45  # the least distance of ticks upwards; closer ones crowd the axis
WIDER = 70  # across, where their numbers stand side by side
NICE = (1, 2, 5, 10)


@dataclass(frozen=True)
class Axis:
    """A straight map from numbers to pixels.

    Attributes:
      low, high: The numbers at its ends.
      begin, end: The pixels there.
      ticks: (number, text) to write on it.
    """

    low: float
    high: float
    begin: float
    end: float
    ticks: tuple[tuple[float, str], ...]

    @classmethod
    def over(cls, values: Sequence[float], begin: float, end: float, pad: bool = True,
             least_step: float = 0.0, apart: float = PIXELS) -> "Axis":
        """An axis on which all values lie.

        Args:
          values: Numbers, of which at least one is finite.
          begin, end: Pixels.
          pad: Whether it goes on to the next tick at both ends; else it ends at the least and largest value.
          least_step: The least distance of ticks, such as 1 for a counter.
          apart: The least distance of ticks in pixels.
        """
        low, high = min(values), max(values)
        size = max(abs(low), abs(high))
        if high - low <= 1e-9 * size or high == low:
            room = size * 0.1 if pad and size > 1e-290 else 1.0
            low, high = low - room, high + room
        step = max(nice_step((high - low) * apart / abs(end - begin)), least_step)
        first, last = (math.floor(low / step), math.ceil(high / step)) if pad else (
            math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9))
        if pad:
            low, high = first * step, last * step
        ticks = [n * step for n in range(first, last + 1)]
        return cls(low, high, begin, end, tuple((tick, text(tick, step)) for tick in ticks))

    def at(self, value: float) -> float:
        """The pixel of a number."""
        return self.begin + (value - self.low) / (self.high - self.low) * (self.end - self.begin)


def nice_step(least: float) -> float:
    """The first of 1, 2, 5 times a power of ten that is not below ``least``."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(n * power for n in NICE if n * power >= least * (1 - 1e-9))


def text(tick: float, step: float) -> str:
    """A tick's number with as many decimals as its step needs; very large and small ones as powers of ten."""
    if tick == 0:
        return "0"
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    if places > 6 or abs(tick) >= 1e7:
        shown = max(1, math.ceil(math.log10(abs(tick) / step) - 1e-9) + 1)
        return f"{tick:.{min(shown, 16)}g}"
    return f"{tick:,.{places}f}"
