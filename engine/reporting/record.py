"""What a run's folder holds, read back for its report."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import Invalid, require
from engine.reporting import table
from engine.reporting.progress import digits
from engine.run.durable import read_json

COUNTERS = ("cycle", "batches", "epoch", "seconds")  # the columns that are no figures of the model
PICTURE = re.compile(r"(.+)-(\d+)\.png")


@dataclass(frozen=True)
class Record:
    """A run, as far as it has been written.

    Attributes:
      folder: Where it lies.
      config: config.json; empty if there is none.
      summary: summary.json; empty while the run is unfinished.
      columns: metrics.csv, {column: a number per row}; empty before the first row.
      pictures: {name: [(cycle, file name)]}, in the order of cycles.
    """

    folder: Path
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    columns: Mapping[str, list[float]]
    pictures: Mapping[str, list[tuple[int, str]]]

    @classmethod
    def load(cls, folder: Path | str) -> "Record":
        """Read a run's folder.

        Raises:
          Invalid: if it is no folder, or a file in it cannot be read as what it is.
        """
        folder = Path(folder)
        require(folder.is_dir(), "run_dir", folder, "a folder")
        metrics = folder / "metrics.csv"
        columns = table.read(metrics) if metrics.exists() else {}
        return cls(folder, _json(folder / "config.json"), _json(folder / "summary.json"), columns,
                   _pictures(folder / "pictures"))

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    def counters(self) -> dict[str, float]:
        """Cycle, batches, epoch and seconds of the last row."""
        return {name: self.columns[name][-1] for name in COUNTERS if self.columns.get(name)}

    def figures(self) -> dict[str, tuple[float, int | None]]:
        """{"<phase>/<term>" or "eval/<metric>": (its last number, its cycle)}, evaluation first.

        What summary.json holds under ``metrics`` is final and goes before, with None for its cycle; a name
        without a phase is a metric.
        """
        found: dict[str, tuple[float, int | None]] = {}
        for name, values in self.columns.items():
            there = [i for i, value in enumerate(values) if not math.isnan(value)]
            if there and name not in COUNTERS:
                found[name] = values[there[-1]], int(self.columns["cycle"][there[-1]])
        final = self.summary.get("metrics")
        for name, value in (final.items() if isinstance(final, Mapping) else ()):
            if isinstance(value, (int, float)):
                found[name if "/" in name else f"eval/{name}"] = value, None
        return dict(sorted(found.items(), key=lambda item: not item[0].startswith("eval/")))

    def groups(self) -> dict[str, tuple[list[float], dict[str, list[float]]]]:
        """Columns that belong in one chart, {title: (cycles, {name: numbers})}.

        A phase's terms lie together, its gradient_norm and each metric alone. Rows where the whole group is
        empty are left out: not every row holds an evaluation.
        """
        members: dict[str, list[str]] = {}
        order = {name: (not name.startswith("eval/"), name.endswith("/gradient_norm"))
                 for name in self.columns}
        for name in sorted(order, key=order.__getitem__):
            phase, _, term = name.partition("/")
            alone = not term or phase == "eval" or term == "gradient_norm"
            if name not in COUNTERS:
                members.setdefault(name if alone else phase, []).append(name)
        groups = {}
        for title, names in members.items():
            rows = [i for i in range(len(self.columns["cycle"]))
                    if not all(math.isnan(self.columns[name][i]) for name in names)]
            short = {name: name.partition("/")[2] if title != name else name for name in names}
            if rows:
                groups[title] = ([self.columns["cycle"][i] for i in rows],
                                 {short[name]: [self.columns[name][i] for i in rows] for name in names})
        return groups


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Nested JSON values as {"outer.inner": text for people}."""
    found: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{before}{name}.")
        else:
            found[f"{before}{name}"] = shown(name, value)
    return found


def shown(name: str, value: Any) -> str:
    """A value as people read it: 4 digits, thousands parted, bytes of memory in MiB."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value if isinstance(value, str) else json.dumps(value)
    if "memory" in name and value >= 2**20:
        return f"{value / 2**20:,.0f} MiB"
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else digits(value)


def _json(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except FileNotFoundError:
        return {}
    except ValueError:
        raise Invalid(f"`{path.name}` ({path}) must be a JSON object") from None


def _pictures(folder: Path) -> dict[str, list[tuple[int, str]]]:
    found: dict[str, list[tuple[int, str]]] = {}
    for path in sorted(folder.glob("*.png")):
        match = PICTURE.fullmatch(path.name)
        if match and path.is_file():
            found.setdefault(match[1], []).append((int(match[2]), path.name))
    return {name: sorted(files) for name, files in found.items()}
