"""How cost grows: of an update with batch, depth, phases and variables; of the data with their number.

  python scripts/benchmarks/growth.py
  python scripts/benchmarks/growth.py --part data --examples 10000 1000000

Each point is a fresh process. An update's cost is that of dense layers of 64 units under the engine, Adam included:
at best it grows no faster than what grows, so "growth" between two points is the exponent p of cost ~ size^p, and is
marked above 1.15. Data are rows of 32 bytes in a memory-mapped .npy file: neither memory of the process's own ("own",
without the pages of files that are mapped) nor the start-up ought to grow with them.
"""

import dataclasses
import math
import sys
import tempfile
from pathlib import Path

if not __package__:  # as a person types it, from anywhere
    sys.path[:1] = [str(folder) for folder in Path(__file__).resolve().parents[1:3]]

import cli
import rules
from fields import option
from rules import Choice

from benchmarks import program

NAME = "growth"
BASE = {"batch": 128, "depth": 2, "phases": 1, "pieces": 1}
AXES = {"batch": (16, 64, 256, 1024),  # examples per update
        "depth": (1, 4, 16, 64),  # dense layers
        "phases": (1, 2, 4, 8),  # each with a net of its own; the cost is of one update
        "pieces": (1, 4, 16, 64)}  # variables that a layer's kernel and bias are parted into: the same products
QUICK = {"batch": (16, 64), "depth": (1, 2), "phases": (1, 2), "pieces": (1, 4)}
EXAMPLES = (10_000, 100_000, 1_000_000, 10_000_000)
PLANS, SOURCES = ("graph", "xla"), ("array", "file")
STEEP = 1.15  # an exponent above it is marked: cost grows faster than size
MOST = 2**25  # bytes: own memory, or 1 s more of start-up, over the smallest data that are marked


@dataclasses.dataclass(frozen=True)
class Options(program.Common):
    """Of this program."""

    part: tuple[str, ...] = option(("updates", "data"), "(default: both)", Choice("updates", "data"), nargs="+")
    axis: tuple[str, ...] = option(tuple(AXES), "of updates (default: all)", Choice(*AXES), nargs="+")
    plan: tuple[str, ...] = option(tuple(PLANS), "(default: both)", Choice(*PLANS), nargs="+")
    source: tuple[str, ...] = option(tuple(SOURCES), "of data: array is ArraySource on the mapped file, file is "
                                     "FileSource reading rows of it (default: both)", Choice(*SOURCES), nargs="+")
    examples: tuple[int, ...] = option(tuple(EXAMPLES), "of data (default: 10^4 to 10^7)", rules.whole, nargs="+")
    seconds: float = option(3.0, "timed per point", rules.positive)


def updates(chosen: Options) -> list[program.Result]:
    """A row per axis, plan and size."""
    rows = []
    for axis in chosen.axis:
        for plan in chosen.plan:
            for size in (QUICK if chosen.quick else AXES)[axis]:
                point = {**BASE, axis: size, "plan": plan, "seconds": chosen.seconds}
                found = program.run(NAME, {"update": point})
                rows.append({"axis": axis, "plan": plan, "size": size, **found})
                program.say(f"{axis} {size}, {plan}: {1e6 * found['seconds_per_update']:.0f} us per update")
    return rows


def data(chosen: Options) -> list[program.Result]:
    """A row per source and number of examples."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="phaseloop-growth-") as folder:
        for source in chosen.source:
            for examples in chosen.examples:
                point = {"path": str(Path(folder, f"{examples}.npy")), "examples": examples, "source": source,
                         "plan": chosen.plan[0], "seconds": chosen.seconds}
                program.run(NAME, {"rows": point})
                found = program.run(NAME, {"data": point})
                rows.append({"source": source, "examples": examples, **found})
                program.say(f"{source}, {examples} examples: start-up {found['startup_seconds']:.2f} s")
    return rows


def exponent(small: program.Result, large: program.Result, size: str, cost: str) -> float:
    """p of cost ~ size^p between two points."""
    return math.log(large[cost] / small[cost]) / math.log(large[size] / small[size])


def update_table(rows: list[program.Result]) -> str:
    """Cost and its growth; an exponent above ``STEEP`` is marked."""
    lines = []
    for before, row in zip([None, *rows], rows, strict=False):
        follows = before is not None and (before["axis"], before["plan"]) == (row["axis"], row["plan"])
        cost = exponent(before, row, "size", "seconds_per_update") if before and follows else math.nan
        start = exponent(before, row, "size", "startup_seconds") if before and follows else math.nan
        lines.append([row["axis"], row["plan"], str(row["size"]), f"{1e6 * row['seconds_per_update']:.0f}",
                      _power(cost), f"{row['startup_seconds']:.1f}", _power(start), str(row["variables"]),
                      f"{row['own_bytes'] / 2**20:.0f}"])
    return program.columns(["axis", "plan", "size", "us per update", "growth", "start-up, s", "growth", "variables",
                            "own memory, MiB"], lines)


def _power(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f}{' !' if value > STEEP else ''}"


def data_table(rows: list[program.Result]) -> str:
    """Start-up, memory and cost per batch; what grows with the data is marked."""
    lines = []
    for row in rows:
        least = min((each for each in rows if each["source"] == row["source"]), key=lambda each: each["examples"])
        memory, startup = (row[name] - least[name] for name in ("own_bytes", "startup_seconds"))
        lines.append([row["source"], str(row["examples"]), f"{row['data_bytes'] / 2**20:.1f}",
                      f"{row['source_seconds']:.3f}", f"{row['startup_seconds']:.2f}{' !' if startup > 1.0 else ''}",
                      f"{1e6 * row['seconds_per_batch']:.0f}",
                      f"{row['own_bytes'] / 2**20:.0f}{' !' if memory > MOST else ''}",
                      f"{row['peak_memory_bytes'] / 2**20:.0f}"])
    return program.columns(["source", "examples", "data, MiB", "making it, s", "start-up, s", "us per batch",
                            "own memory, MiB", "peak, MiB"], lines)


def work(chosen: Options) -> tuple[program.Result, str]:
    if chosen.quick:
        chosen = dataclasses.replace(chosen, seconds=0.1, examples=(1_000, 100_000))
    result: program.Result = {}
    texts = []
    for part, made, table in (("updates", updates, update_table), ("data", data, data_table)):
        if part in chosen.part:
            result[part] = made(chosen)
            texts.append(table(result[part]))
    return result, "\n\n".join(texts)


def measured(point: program.Result) -> program.Result:
    """What one process does."""
    from benchmarks import growth_points

    return growth_points.measured(point)


if __name__ == "__main__":
    raise SystemExit(program.main(cli.Command(Options(), __doc__).parse(), work, measured))
