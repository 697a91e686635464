"""What an option's value must be: each rule makes a value of a text, or says in one line what is wrong with it.

A rule is a type for ``add_argument``; a file of options goes through the same ones.
"""

import difflib
import json
import re
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

Rule = Callable[[str], Any]
COMPILED = ("graph", "halves", "xla")  # plans of the engine, which would import TensorFlow here


def nearest(word: str, words: Iterable[str], cutoff: float = 0.0) -> str:
    """The most similar of ``words``; none if no two letters in ``cutoff`` of all agree."""
    return next(iter(difflib.get_close_matches(word, list(words), n=1, cutoff=cutoff)), "")


# What other projects call options of ours.
OFTEN_MEANT = {"--lr": "--learning-rate", "--bs": "--batch-size", "--batch": "--batch-size", "--model": "--net",
               "--arch": "--net", "--steps": "--cycles", "--iterations": "--cycles", "--max-steps": "--cycles",
               "--max-epochs": "--epochs", "--num-epochs": "--epochs", "--out": "--run-dir", "--output": "--run-dir",
               "--output-dir": "--run-dir", "--logdir": "--run-dir", "--save-dir": "--run-dir",
               "--data": "--data-dir", "--root": "--data-dir", "--dtype": "--precision", "--amp": "--precision"}


def known_as(name: str, options: Sequence[str]) -> str:
    """The end of the line about an unknown option: which of ``options`` was meant, if one comes near."""
    meant = OFTEN_MEANT.get(name, "") or nearest(name, options, cutoff=0.6)
    return f"; nearest: {meant}" if meant in options else ""


class Number:
    """``kind`` under a rule."""

    def __init__(self, kind: Callable[[str], Any], rule: str, holds: Callable[[Any], bool]) -> None:
        self.kind, self.rule, self.holds = kind, rule, holds
        self.metavar = "N" if kind is int else "X"

    def __call__(self, text: str) -> Any:
        try:
            value = self.kind(text)
        except ValueError:
            value = None
        if value is None or not self.holds(value):
            raise ArgumentTypeError(f"({text}) must be {self.rule}")
        return value


whole = Number(int, "an integer of at least 1", lambda value: value >= 1)
two_or_more = Number(int, "an integer of at least 2", lambda value: value >= 2)
natural = Number(int, "an integer of at least 0", lambda value: value >= 0)
positive = Number(float, "a number above 0", lambda value: 0 < value < float("inf"))
fraction = Number(float, "a number of at least 0 and below 1", lambda value: 0 <= value < 1)
weight = Number(float, "a number of at least 0", lambda value: 0 <= value < float("inf"))


def path(text: str) -> Path:
    """A path. ``Path`` itself takes no text, as a shell's variable that is not set gives it, for this folder."""
    if not text:
        raise ArgumentTypeError("() must be a path: it is empty")
    return Path(text)


class Choice:
    """One of a few values, which the help shows in the place of a name."""

    def __init__(self, *values: Any) -> None:
        self.values = {str(value): value for value in values}
        self.metavar = f"{{{','.join(self.values)}}}"

    def __call__(self, text: str) -> Any:
        if text not in self.values:
            raise ArgumentTypeError(f"({text}) must be one of {', '.join(self.values)}")
        return self.values[text]


def one_of(names: Sequence[str], or_class: bool = False, prefixes: tuple[str, ...] = ()) -> Rule:
    """One of many ``names``; with ``or_class`` also module:Class; or what begins with one of ``prefixes``."""
    def known(text: str) -> str:
        if text in names or (or_class and ":" in text) or (text.startswith(prefixes) and text not in prefixes):
            return text
        also = ", or module:Class" if or_class else ""
        raise ArgumentTypeError(f"({text}) must be one of {', '.join(names)}{also}; nearest: {nearest(text, names)}")
    return known


def plan(text: str) -> str:
    """A way of compiling, or one for each phase."""
    each = rf"\S+=({'|'.join(COMPILED)})"
    if text not in ("auto", "eager", *COMPILED) and not re.fullmatch(rf"{each}( {each})*", text):
        raise ArgumentTypeError(f'({text}) must be one of auto, {", ".join(COMPILED)}, eager, or as '
                                '"critic=graph generator=xla"')
    return text


def power_of_two(text: str) -> int:
    """1, 2, 4, ..."""
    return int(Number(int, "a power of two", lambda value: value >= 1 and value & (value - 1) == 0)(text))


def threads(text: str) -> Any:
    """A number of threads, or who is to choose it."""
    return text if text in ("auto", "default") else Number(
        int, "an integer of at least 1, auto or default", lambda value: value >= 1)(text)


def fold(text: str) -> str:
    """I/K, fold I of K."""
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count) and int(count) >= 2):
        raise ArgumentTypeError(f"({text}) must be I/K: fold I of K, K at least 2")
    return text


def checkpoint(text: str) -> str | int:
    """A checkpoint of a run: newest, best, or its cycle."""
    if text in ("newest", "best") or text.isdecimal():
        return int(text) if text.isdecimal() else text
    raise ArgumentTypeError(f"({text}) must be newest, best, or a cycle")


class NetOption(tuple[str, Any]):
    """NAME=VALUE as a pair, which says itself as it was typed. Pairs are compared and recorded as pairs."""

    text: str

    def __str__(self) -> str:
        return self.text


def net_option(text: str) -> NetOption:
    """NAME=VALUE, the value in JSON, or a text."""
    name, sign, value = text.partition("=")
    if not sign or not name.isidentifier():
        raise ArgumentTypeError(f"({text}) must be NAME=VALUE")
    return _pair(text, name, value)


def option_of_net(text: str) -> NetOption:
    """NET.NAME=VALUE, as the pair of NET and a ``net_option``."""
    place, sign, value = text.partition("=")
    net, dot, name = place.rpartition(".")
    if not (sign and dot and net and name.isidentifier()):
        raise ArgumentTypeError(f"({text}) must be NET.NAME=VALUE")
    made = NetOption((net, net_option(f"{name}={value}")))
    made.text = text
    return made


def _pair(text: str, name: str, value: str) -> NetOption:
    try:
        made = NetOption((name, json.loads(value)))
    except ValueError:
        made = NetOption((name, value))
    made.text = text
    return made
