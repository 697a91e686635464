"""What the small programs of this folder share: fresh processes, pairs of them, columns, JSON."""

import dataclasses
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from fields import option

from benchmarks.processes import Failed

FOLDER = Path(__file__).parent
QUIET = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"}
LIMIT = 4 * 3600.0  # seconds for one process

Result = dict[str, Any]  # a process's JSON line


def point_of(text: str) -> Any:
    """A rule: JSON."""
    return json.loads(text)


@dataclasses.dataclass(frozen=True)
class Common:
    """The options that all of them have."""

    json: Path | None = option(None, "write all results there, too", Path)
    quick: bool = option(False, "tiny sizes, to see that all works: results without meaning", bool)
    point: Any = option(None, "one process's part of the work, as JSON", point_of, hidden=True)


Chosen = TypeVar("Chosen", bound=Common)


def run(name: str, point: Mapping[str, Any], python: str = sys.executable) -> Result:
    """The last line of ``<name>.py --point <point>`` in a fresh process on the CPU. Raises ``Failed``."""
    command = [python, str(FOLDER / f"{name}.py"), "--point", json.dumps(point)]
    ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **QUIET}, timeout=LIMIT)
    lines = ended.stdout.strip().splitlines()
    if ended.returncode or not lines:
        last = " ".join(ended.stderr.strip().splitlines()[-1:])[:300]
        raise Failed(f"{name}.py --point {command[-1]} ended with {ended.returncode}: {last}")
    return json.loads(lines[-1])


def alternate(first: Callable[[int], Result], second: Callable[[int], Result], count: int
              ) -> list[tuple[Result, Result]]:
    """``count`` pairs (of first, of second), back to back; every other one begins with the second.

    Both are called with the number of their pair, from 0.
    """
    pairs = []
    for number in range(count):
        one, other = (second, first) if number % 2 else (first, second)
        began, ended = one(number), other(number)
        pairs.append((ended, began) if number % 2 else (began, ended))
    return pairs


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and greatest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def shown(metrics: Mapping[str, float]) -> str:
    """A ``spread`` for people."""
    return f"{metrics['median']:.2f} ({metrics['min']:.2f}..{metrics['max']:.2f})"


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of text, its columns one under the other."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
                     for line in lines)


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


def main(chosen: Chosen, work: Callable[[Chosen], tuple[Result, str]],
         measured: Callable[[Result], Result]) -> int:
    """Do the ``work``, print its table and write its results. Returns the exit code; 1: a process failed.

    In a process of ``run`` it is ``measured`` that is done, and its line printed.
    """
    if chosen.point:
        print(json.dumps(measured(chosen.point)))
        return 0
    try:
        result, text = work(chosen)
    except Failed as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted: nothing was written")
        return 130
    print(text)
    if chosen.json:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        part = chosen.json.with_name(f"{chosen.json.name}.part")
        part.write_text(json.dumps(result, indent=1) + "\n")
        os.replace(part, chosen.json)
        print(chosen.json)
    return 0
