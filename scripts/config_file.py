"""Options from a TOML file and to one: ``latent-dim = 20``, a line for each, by the name that is typed."""

import argparse
import json
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import fields
from fields import Leaf
from rules import known_as


class Bad(ValueError):
    """A file of options that cannot be used: one line, with the file and the key."""


def text(options: Any) -> str:
    """The file that gives these options; those that nobody gave are left out."""
    leaves = {key: leaf for key, leaf in _keys(options).items() if leaf.given}
    chosen = {leaf.option.exclusive: key for key, leaf in leaves.items()}  # the last of a set is the one that counts
    lines, group = [], ""
    for key, leaf in leaves.items():
        if not leaf.option.exclusive or chosen[leaf.option.exclusive] == key:
            lines += ["", f"# {leaf.group}"] * (leaf.group != group) + [f"{key} = {_toml(leaf.value)}"]
            group = leaf.group
    return "\n".join(lines[1:]) + "\n"


def read(path: Path, options: Any, given: Collection[str] = ()) -> dict[str, Any]:
    """The values of a file by name of the field, without those that an option among ``given`` excludes.

    Args:
      path: TOML; keys are the options' names, with - or _.
      options: The script's options.
      given: Names of the options that the command line has.

    Raises:
      Bad: A file that cannot be read, an unknown key or a bad value.
    """
    try:
        values = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise Bad(f"`--config` ({path}) must be a file that can be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # TOML's errors and those of UTF-8
        raise Bad(f"`--config` ({path}) must be TOML: {error}") from None
    known: dict[str, Leaf] = _keys(options)
    found: dict[str, Any] = {}
    taken = {leaf.option.exclusive: key for key, leaf in known.items() if leaf.name in given and leaf.option.exclusive}
    for written, value in values.items():
        key = written.replace("_", "-")
        if isinstance(value, dict):
            raise Bad(f"{path}: `[{written}]` must be left out: options are not in tables")
        if key not in known:
            flags = [f"--{each}" for each in known]
            raise Bad(f"{path}: `{written}` must be an option of this script"
                      f"{known_as(f'--{key}', flags).replace('--', '')}")
        leaf = known[key]
        if leaf.option.exclusive in taken:
            continue
        rival = next((name for name in found if leaf.option.exclusive == known[name].option.exclusive != ""), None)
        if rival or key in found:
            raise Bad(f"{path}: `{written}` must be left out beside {rival or key}")
        try:
            found[key] = _value(leaf, value)
        except argparse.ArgumentTypeError as error:
            raise Bad(f"{path}: `{written}` {error}") from None
    return {known[key].name: value for key, value in found.items()}


def _keys(options: Any) -> dict[str, Leaf]:
    """The options that a file may hold, by key."""
    return {leaf.flag.removeprefix("--"): leaf for leaf in fields.leaves(options)
            if not (leaf.option.hidden or leaf.option.positional)}


def _value(leaf: Leaf, value: Any) -> Any:
    """What the option's rule makes of a value, or of each in an array where the option takes several."""
    told = leaf.option
    if told.rule is bool:
        if not isinstance(value, bool):
            raise argparse.ArgumentTypeError(f"({_toml(value)}) must be true or false")
        return value or leaf.value  # false is what it is without the option
    if told.nargs == "?" and isinstance(value, bool):
        return value
    if told.nargs not in ("append", "+"):
        return _one(leaf, value)
    if not isinstance(value, list) or (told.nargs == "+" and not value):
        raise argparse.ArgumentTypeError(f"({_toml(value)}) must be an array, as [{_toml(value)}]")
    return tuple(_one(leaf, each) for each in value)


def _one(leaf: Leaf, value: Any) -> Any:
    """One value. A number in quotation marks is a text, and is not taken for a number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise argparse.ArgumentTypeError(f"({_toml(value)}) must be a number or a text")
    if "\0" in str(value):
        raise argparse.ArgumentTypeError("must be a text without the character U+0000")
    made: Any = leaf.rule(str(value))
    if isinstance(value, str) != isinstance(made, str | Path | tuple):
        kind = "a number, without quotation marks" if isinstance(value, str) else "a text, in quotation marks"
        raise argparse.ArgumentTypeError(f"({_toml(value)}) must be {kind}")
    return made


def _toml(value: Any) -> str:
    """As TOML has it; JSON's texts, numbers and truth values are TOML's."""
    if type(value) in (tuple, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
