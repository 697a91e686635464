"""Options as frozen dataclasses: what a field says about its option, and the way from fields to argparse and back.

A dataclass of options holds leaves, made by ``option``, and further dataclasses, each a group of the help. The names of
all leaves of a script differ, so that an option is its name alone, on the command line, in a file and in config.json.
"""

import argparse
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from rules import Choice, Rule, path

T = TypeVar("T")
REQUIRED: Any = "required"  # the default of a positional argument that must be given


@dataclasses.dataclass(frozen=True)
class Option:
    """What a field's metadata say.

    Attributes:
      help: Unit and reason; the default is added where it says something and the text does not.
      rule: Makes the value of a text. ``bool`` is an option without a value.
      flag: Name as it is typed, if that is not the field's name.
      metavar: Name of the value in the help.
      nargs: "append" for an option that may be repeated, "?" for one whose value may be left out and is then True; "+"
        and "*" as argparse knows them.
      positional: An argument without a flag; it is not read from a file.
      exclusive: Name of a set of options of which one alone may be given.
      identity: Whether runs that differ in it are different runs. What says how long, how often or where is not.
      speed: Whether the time of an update hangs on it, besides ``identity``.
      keyword: Keyword of the data sets' loaders; only those that are given are handed on.
      hidden: Left out of the help, and of files.
    """

    help: str
    rule: Rule | type = str
    flag: str = ""
    metavar: str | None = None
    nargs: str = ""
    positional: bool = False
    exclusive: str = ""
    identity: bool = True
    speed: bool = True
    keyword: str = ""
    hidden: bool = False


class Leaf(NamedTuple):
    """An option of a script: the field's name, its value or default, what it says of itself, and its group's title."""

    name: str
    value: Any
    option: Option
    group: str

    @property
    def flag(self) -> str:
        """As it is typed."""
        return self.option.flag or f"--{self.name.replace('_', '-')}"

    @property
    def rule(self) -> Rule:
        """Makes the value of a text."""
        return path if self.option.rule is Path else self.option.rule

    @property
    def given(self) -> bool:
        """Whether there is a value: None and no values at all are what nobody asked for."""
        return self.value is not None and self.value != ()


def option(default: Any, text: str, rule: Rule | type = str, **more: Any) -> Any:
    """A field of a dataclass of options; ``more`` as of ``Option``."""
    return dataclasses.field(default=default, metadata={"option": Option(text, rule, **more)})


def leaves(options: Any, group: str = "") -> Iterator[Leaf]:
    """All options of a dataclass of options, with their values. ``TITLE`` of a dataclass is that of its group."""
    group = getattr(options, "TITLE", group)
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if "option" in field.metadata:
            yield Leaf(field.name, value, field.metadata["option"], group)
        elif dataclasses.is_dataclass(value):
            yield from leaves(value, group)


def replaced(options: T, values: Mapping[str, Any]) -> T:
    """The same options with other ``values``, by name; names that it does not have are left."""
    changed = {}
    for field in dataclasses.fields(options):  # type: ignore[arg-type]
        value = getattr(options, field.name)
        if "option" not in field.metadata:
            changed[field.name] = replaced(value, values) if dataclasses.is_dataclass(value) else value
        elif field.name in values:
            new = values[field.name]
            changed[field.name] = tuple(new) if isinstance(new, list) else new
    return dataclasses.replace(options, **changed)  # type: ignore[type-var]


def identity(options: Any) -> dict[str, Any]:
    """What makes two runs the same run, by name; options that are not given aside."""
    return {leaf.name: leaf.value for leaf in sorted(leaves(options)) if leaf.option.identity and leaf.given}


def add(parser: argparse.ArgumentParser, options: Any) -> None:
    """Give the parser an argument for each option. Those that nobody gives are not in what it parses."""
    groups: dict[str, Any] = {"": parser}
    exclusive: dict[str, Any] = {}
    for leaf in leaves(options):
        if leaf.group not in groups:
            groups[leaf.group] = parser.add_argument_group(leaf.group)
        place = groups[leaf.group]
        if leaf.option.exclusive:
            if leaf.option.exclusive not in exclusive:
                exclusive[leaf.option.exclusive] = place.add_mutually_exclusive_group()
            place = exclusive[leaf.option.exclusive]
        names = [leaf.name] if leaf.option.positional else [leaf.flag]
        place.add_argument(*names, **_argument(leaf))


def _argument(leaf: Leaf) -> dict[str, Any]:
    """The keyword arguments of ``add_argument``."""
    told: Option = leaf.option
    said: dict[str, Any] = {"help": _help(leaf), "default": argparse.SUPPRESS}
    if not told.positional:
        said["dest"] = leaf.name
    if told.rule is bool:
        return {**said, "action": "store_true"}
    several = "NAME" if told.nargs and isinstance(told.rule, Choice) else None  # else all of them, twice
    metavar = told.metavar or several or getattr(told.rule, "metavar", None) or (
        "PATH" if told.rule is Path else leaf.flag.strip("-").upper())
    said |= {"type": leaf.rule, "metavar": metavar}
    if leaf.value is REQUIRED and not told.positional:
        said["required"] = True
    if told.nargs == "append":
        return {**said, "action": "append"}
    return {**said, **({"nargs": told.nargs} if told.nargs else {}), **({"const": True} if told.nargs == "?" else {})}


def _help(leaf: Leaf) -> str:
    if leaf.option.hidden:
        return argparse.SUPPRESS
    text = leaf.option.help
    if leaf.option.nargs and isinstance(leaf.option.rule, Choice):
        text = f"some of {', '.join(leaf.option.rule.values)}{' ' if text.startswith('(') else '; '}{text}"
    if leaf.given and leaf.value is not False and leaf.value is not REQUIRED and "(default: " not in text:
        text = f"{text} (default: {shown(leaf.value)})"
    return text.replace("%", "%%").strip()


def shown(value: Any) -> str:
    """A value as one would type it."""
    if isinstance(value, tuple) and type(value) is tuple:
        return " ".join(map(shown, value))
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)

