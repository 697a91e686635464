"""What a sweep varies: the values of options, and which of them a trial has.

A draw depends on seed, trial and option alone, so that more trials later leave the first ones as they were. It is made
of ``random.Random(text).random()``, whose numbers Python promises to keep from version to version.
"""

import math
import re
from argparse import ArgumentTypeError
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random

RULE = "NAME=A,B,C or NAME=LOW..HIGH or NAME=log:LOW..HIGH, a range with :N at its end for N even steps"
DIGITS = 4  # of a drawn number: as a person would type it
MANY = 10_000  # trials of a grid, up to which a random search goes through it in another order
WIDE = 20  # largest over least of listed numbers, from which on they are read on a log axis


@dataclass(frozen=True)
class Listed:
    """Values of an option, as they are typed."""

    texts: tuple[str, ...]

    def __str__(self) -> str:
        return ",".join(self.texts)

    def at(self, place: float) -> str:
        """The value at a place from 0 to below 1."""
        return self.texts[int(place * len(self.texts))]

    @property
    def log(self) -> bool:
        """Whether they are numbers that are read on a log axis."""
        numbers = [number_of(text) for text in self.texts]
        there = [number for number in numbers if number is not None and number > 0]
        return len(there) == len(numbers) and max(there) >= WIDE * min(there)


@dataclass(frozen=True)
class Range:
    """Numbers of an option, ``low`` and ``high`` included; ``whole`` ones if both are typed so."""

    low: float
    high: float
    log: bool
    whole: bool

    def __str__(self) -> str:
        ends = (str(int(end)) if self.whole else repr(float(end)) for end in (self.low, self.high))
        return "log:" * self.log + "..".join(ends)

    def at(self, place: float) -> str:
        """The value at a place from 0 to 1: even over the numbers, or over their logarithms."""
        low, high = (self.low - 0.5, self.high + 0.5) if self.whole else (self.low, self.high)
        value = math.exp(math.log(low) + place * math.log(high / low)) if self.log else low + place * (high - low)
        if self.whole:
            return str(int(min(self.high, max(self.low, round(value)))))
        return f"{min(self.high, max(self.low, float(f'{value:.{DIGITS}g}'))):.{DIGITS + 6}g}"

    def steps(self, count: int) -> Listed:
        """So many values, from ``low`` to ``high``."""
        places = [i / (count - 1) for i in range(count)]
        if self.whole:  # the ends of ``at`` lie half a number outside
            values = [self.low * (self.high / self.low) ** place if self.log else
                      self.low + place * (self.high - self.low) for place in places]
            return Listed(tuple(dict.fromkeys(str(round(value)) for value in values)))
        return Listed(tuple(dict.fromkeys(map(self.at, places))))


Space = Mapping[str, Listed | Range]


def vary(text: str) -> tuple[str, Listed | Range]:
    """A rule: NAME=VALUES, as the option's name and its values."""
    name, sign, values = text.partition("=")
    name = name.removeprefix("--")
    if not (sign and values and re.fullmatch(r"[a-z][\w-]*(\.\w+)?", name)):
        raise ArgumentTypeError(f"({text}) must be {RULE}")
    if found := re.fullmatch(r"(log:)?([^,]+?)\.\.([^,:]+)(?::(\d+))?", values):
        return name, _range(text, *found.groups())
    texts = tuple(re.split(r",(?![^\[]*\])", values))
    if "" in texts or values.startswith("log:"):
        raise ArgumentTypeError(f"({text}) must be {RULE}")
    if len(set(texts)) < max(2, len(texts)):
        raise ArgumentTypeError(f"({text}) must be two or more different values")
    return name, Listed(texts)


def _range(text: str, log: str | None, low: str, high: str, steps: str | None) -> Listed | Range:
    first, last = number_of(low), number_of(high)
    if first is None or last is None:
        raise ArgumentTypeError(f"({text}) must be {RULE}, LOW and HIGH numbers")
    if not first < last:
        raise ArgumentTypeError(f"({text}) must be a range whose LOW is below HIGH")
    if log and first <= 0:
        raise ArgumentTypeError(f"({text}) must be a range above 0, for log")
    found = Range(first, last, bool(log), all(re.fullmatch(r"-?\d+", each) for each in (low, high)))
    if steps is None:
        return found
    if int(steps) < 2:
        raise ArgumentTypeError(f"({text}) must be of two steps or more")
    return found.steps(int(steps))


def number_of(text: str) -> float | None:
    """The finite number that a text is; None if it is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def size(space: Space) -> float:
    """How many different trials there are; infinity where an option has a range."""
    return math.prod(len(values.texts) if isinstance(values, Listed) else math.inf for values in space.values())


def cell(space: Space, number: int) -> dict[str, str]:
    """The options of place ``number`` of the grid, from 0: the last option changes first."""
    found: dict[str, str] = {}
    for name, values in reversed(list(space.items())):
        assert isinstance(values, Listed)
        number, place = divmod(number, len(values.texts))
        found[name] = values.texts[place]
    return {name: found[name] for name in space}


def drawn(space: Space, seed: int, trial: int) -> dict[str, str]:
    """The options of a trial, from 1, of a random search.

    Where all options are listed, at most ``MANY`` trials, no two are the same.
    """
    count = size(space)
    if count <= MANY:
        return cell(space, _order(int(count), seed)[trial - 1])
    return {name: values.at(Random(f"{seed} {trial} {name}").random()) for name, values in space.items()}


@lru_cache
def _order(count: int, seed: int) -> list[int]:
    return sorted(range(count), key=lambda number: Random(f"{seed} {number}").random())


def typed(options: Mapping[str, str]) -> list[str]:
    """Options as a person types them: ``on`` and ``off`` are those of a flag, a.b is b of --a."""
    words: list[str] = []
    for name, value in options.items():
        option, dot, part = name.partition(".")
        if value != "off":
            words.append(f"--{option}" + ("" if value == "on" else f"={part}={value}" if dot else f"={value}"))
    return words


def names(space: Space) -> Sequence[str]:
    """Of the options that are varied, as the script knows them."""
    return [name.partition(".")[0] for name in space]
