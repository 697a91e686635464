"""The command line of the scripts: errors in one line in the house's words, and options out of files."""

import argparse
import codecs
import io
import re
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

import config_file
import fields
from rules import known_as

T = TypeVar("T")


def _as_stored(error: UnicodeError) -> tuple[bytes | str, int]:
    """For text that a stream cannot print: a byte of a file's name that is no UTF-8 as it is, else an escape."""
    assert isinstance(error, UnicodeEncodeError)
    code = ord(error.object[error.start])
    if 0xDC80 <= code <= 0xDCFF:
        return bytes([code - 0xDC00]), error.start + 1
    one = UnicodeEncodeError(error.encoding, error.object, error.start, error.start + 1, error.reason)
    return codecs.backslashreplace_errors(one)


def printable(text: str) -> str:
    """``text`` with escapes for control characters, which files may hold and a terminal would obey."""
    return "".join(each if each.isprintable() or each in "\n\t" or "\udc80" <= each <= "\udcff"
                   else each.encode("unicode_escape").decode() for each in text)


AS_STORED = "as stored"
codecs.register_error(AS_STORED, _as_stored)

# What argparse says, and how the house says it.
WORDING = ((r"^argument (\S+): \(", r"`\1` ("),
           (r"^argument (\S+): invalid choice: '?(.*?)'? \(choose from (.*)\)$", r"`\1` (\2) must be one of \3"),
           (r"^argument (\S+): not allowed with argument (\S+)$", r"`\1` must be left out beside \2"),
           (r"^argument (\S+): expected (one|at least one) argument$", r"`\1` must have \2 value"),
           (r"^the following arguments are required: (\S+?)(, .*)?$", r"`\1` must be given"))


class Parser(argparse.ArgumentParser):
    """An ``ArgumentParser`` whose errors are one line in the house's words, and whose help keeps its lines."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False, **settings})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # of all ways to parse
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors=AS_STORED)  # or a name that the terminal lacks ends the script
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        for pattern, line in WORDING:
            message = re.sub(pattern, line, message)
        unknown = re.match(r"^unrecognized arguments: (--?[\w-]+|\S*)", message)
        if unknown and unknown[1].strip("-") and unknown[1].startswith("-"):
            message = (f"`{unknown[1]}` must be an option of this script"
                       f"{known_as(unknown[1], list(self._option_string_actions))}")
        elif unknown:
            message = f"`{unknown[1]}` must be left out, or be the value of an option"
        refuse(f"{message} (see --help)")


def fitted(description: str | None) -> str:
    """A description in the terminal's width: paragraphs in lines anew, long examples with their remarks below them."""
    width, parts = shutil.get_terminal_size().columns, []
    for part in (description or "").split("\n\n"):
        if part.startswith(" "):
            lines = (line if len(line) <= width else re.sub(r"(?<=\S) {2,}(?=\S)", "\n" + " " * 6, line)
                     for line in part.splitlines())
            parts.append("\n".join(lines))
        else:
            parts.append(textwrap.fill(part, width, break_long_words=False, break_on_hyphens=False))
    return "\n\n".join(parts)


def refuse(message: str) -> NoReturn:
    """End with exit code 2 and one line."""
    print("error: " + message.replace("\n", "\\n"), file=sys.stderr)
    raise SystemExit(2)


class Command(Generic[T]):
    """The command line of a script.

    Args:
      defaults: Its options: a dataclass of ``fields`` with the default values.
      description: Text of the help above the options.
      files: Whether options may come from a file, by --config.
      parser: One that is there, of a subcommand.
    """

    def __init__(self, defaults: T, description: str | None, files: bool = False, parser: Parser | None = None) -> None:
        self.defaults, self.files = defaults, files
        self.parser = parser or Parser()
        self.parser.description = fitted(description)
        if files:
            self.parser.usage = f"{self.parser.prog} [OPTIONS]"
            self.parser.add_argument("--config", type=Path, metavar="FILE", help="a TOML file of options, as "
                                     "--print-config prints one; what is given here as well wins")
            self.parser.add_argument("--print-config", action="store_true", help="print the options as such a file, "
                                     "and do nothing else")
        fields.add(self.parser, defaults)

    def parse(self, arguments: Sequence[str] | None = None, intermixed: bool = False) -> T:
        """The options that are given, in the place of their defaults. Ends with exit code 2 for a bad one."""
        parse = self.parser.parse_intermixed_args if intermixed else self.parser.parse_args
        return self.resolved(vars(parse(arguments)))

    def resolved(self, given: dict[str, Any]) -> T:
        """The options of what was parsed: given above a file's, and those above the defaults."""
        if self.files and given["config"]:
            try:
                given = {**config_file.read(given["config"], self.defaults, given), **given}
            except config_file.Bad as error:
                refuse(printable(str(error)))
        options = fields.replaced(self.defaults, given)
        if self.files and given["print_config"]:
            print(config_file.text(options), end="")
            raise SystemExit(0)
        return options


def as_typed(error: Exception, options: Any) -> str:
    """A message that begins with the name of an option's value, with the option as a person types it."""
    flags = {leaf.name: leaf.flag for leaf in fields.leaves(options)}
    return re.sub(r"^`(\w+)`", lambda found: f"`{flags.get(found[1], found[1])}`", printable(str(error)))
