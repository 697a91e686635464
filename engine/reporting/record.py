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

COUNTERS = ("cycle", "batches", "epoch", "seconds")  # the columns that are no metrics of the model
ENDS = {"higher": ("accuracy", "precision", "recall", "f1", "auc", "psnr", "ssim", "r2"),
        "lower": ("error", "loss", "entropy", "nll", "perplexity", "negative_elbo", "mse", "mae", "rmse", "fid")}
PICTURE = re.compile(r"(.+)-(\d+)\.png")


@dataclass(frozen=True)
class Record:
    """A run, as far as it has been written.

    Attributes:
      folder: Folder where it lies.
      config: Content of config.json; empty if there is none.
      summary: Content of summary.json; empty while the run is unfinished.
      environment: Content of environment.json, what the run is computed with: ``command``, ``git_commit``,
        ``processor``, …
      columns: Content of metrics.csv, {column: a number per row}; empty before the first row.
      pictures: {name: [(cycle, file name)]}, in the order of cycles.
    """

    folder: Path
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    environment: Mapping[str, Any]
    columns: Mapping[str, list[float]]
    pictures: Mapping[str, list[tuple[int, str]]]

    @classmethod
    def load(cls, folder: Path | str) -> "Record":
        """Read a run's folder.

        Raises:
          Invalid: If it is no folder, or a file in it cannot be read as what it is.
        """
        folder = Path(folder)
        require(folder.is_dir(), "run_dir", folder, "a folder")
        metrics = folder / "metrics.csv"
        columns = table.read(metrics) if metrics.exists() else {}
        return cls(folder, _json(folder / "config.json"), _json(folder / "summary.json"),
                   _json(folder / "environment.json"), columns, _pictures(folder / "pictures"))

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    def counters(self) -> dict[str, float]:
        """Cycle, batches, epoch and seconds of the last row."""
        return {name: self.columns[name][-1] for name in COUNTERS if self.columns.get(name)}

    def final(self) -> dict[str, float]:
        """{"<phase>/<term>", "eval/<metric>" or "<part>/<metric>": its last number}.

        What summary.json holds under ``metrics`` is final and goes before; a name without a phase is of the evaluation.
        """
        found: dict[str, float] = {}
        for name, values in self.columns.items():
            there = [value for value in values if not math.isnan(value)]
            if there and name not in COUNTERS:
                found[name] = there[-1]
        metrics = self.summary.get("metrics")
        for name, value in (metrics.items() if isinstance(metrics, Mapping) else ()):
            if isinstance(value, (int, float)):
                found[name if "/" in name else f"eval/{name}"] = value
        return found

    def better(self, metric: str) -> str:
        """"lower" or "higher", whichever values of a metric or term are better; "" if nothing says it.

        summary.json says it under ``better``; else a name that ends like one of the field's common metrics.
        """
        name, said = metric.rpartition("/")[2], self.summary.get("better")
        if isinstance(said, Mapping) and said.get(name) in ("lower", "higher"):
            return str(said[name])
        return next((way for way, ends in ENDS.items() if name.lower().endswith(ends)), "")


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
