"""Several runs on one page: their final metrics, their curves in common charts, and what differs between them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from engine.reporting.chart import Line
from engine.reporting.curves import Chart, line, rendered, written
from engine.reporting.files import write_whole
from engine.reporting.page import axis_switch, box, columns, folded, heading, page, pairs, paragraph, way
from engine.reporting.progress import digits
from engine.reporting.record import Record, flat, shown

ABSENT = "–"
SPEEDS = ("seconds", "cycles_per_second")  # columns that come last, and of which none is the best
LONGEST = 80  # characters of a value of the configuration


@dataclass(frozen=True)
class Comparison:
    """Several runs, and the table of their final metrics.

    Attributes:
      records: {name: the run}.
      rows: The table; its first row is the head.
      best: (row, column) of the cells that are the best of their column.
      sums: Number of rows, the last ones, that sum the others up: mean and standard deviation, or none.
      leading: Number of runs, the first ones, whose curves stand out, where there are many; None for all.
    """

    records: Mapping[str, Record]
    rows: list[list[str]]
    best: list[tuple[int, int]]
    sums: int
    leading: int | None = None

    @classmethod
    def of(cls, runs: Mapping[str, Path], extra: Mapping[str, Mapping[str, float | str]] | None = None,
           summed: bool = False, leading: int | None = None) -> "Comparison":
        """Read the runs.

        Args:
          runs: {name: the run's folder}.
          extra: {name of a run: {column: number or text}}, further columns of the table, before the metrics.
          summed: Whether mean and standard deviation over the runs are told, as of folds, of which none is the best.
          leading: Number of runs that lead, as the attribute.

        Raises:
          Invalid: If a folder is none, or a file in it cannot be read as what it is.
        """
        records = {name: Record.load(folder) for name, folder in runs.items()}
        metrics = {name: _final(record) for name, record in records.items()}
        values = {name: {**(extra or {}).get(name, {}), **metrics[name]} for name in records}
        names = list(dict.fromkeys(column for found in values.values() for column in found))
        names.sort(key=lambda name: name in SPEEDS)
        rows = [["", *(name.removeprefix("eval/").replace("_", " ") for name in names)]]
        rows += [[run, *(_number(found.get(name)) for name in names)] for run, found in values.items()]
        best = [cell for column, name in enumerate(names, start=1)
                for cell in _best(records, name, column, [found.get(name, math.nan) for found in metrics.values()])]
        sums = _sums(metrics, names) if summed else []
        return cls(records, rows + sums, [] if summed else best, len(sums), leading)

    def write(self, path: Path, title: str) -> Path:
        """Write the page, whose links are relative to its folder. Returns ``path``."""
        body = [heading(1, title), paragraph(f"{len(self.records)} runs", "quiet"), *_notices(self.records),
                heading(2, "Final metrics"), columns(self.rows, best=self.best, sums=self.sums), *self.curves()]
        body += [heading(2, "What differs in configuration"), *_configuration(self.records), heading(2, "Runs")]
        body += [f"<p>{_place(path.parent, name, record)}</p>" for name, record in self.records.items()]
        write_whole(path, page(title, body))
        return path

    def curves(self) -> list[str]:
        """The charts as pieces of a page."""
        evaluated, trained = self.charts()
        first, rest = (evaluated, trained) if evaluated else (trained, [])
        return [heading(2, "Curves"), axis_switch(), box("charts", rendered(first)),
                folded("Curves of training", [box("charts", rendered(rest))] if rest else [])] if first else []

    def charts(self) -> tuple[list[Chart], list[Chart]]:
        """Those of the evaluation and those of training: of each column of two runs or more, with a line per run."""
        found: dict[str, list[str]] = {}
        for name, record in self.records.items():
            for column in written(record):
                found.setdefault(column, []).append(name)
        leading = len(self.records) if self.leading is None else self.leading
        charts = [(column, [line(record, column, name, faint=i >= leading) if name in names else
                            Line(name, {}, [], faint=i >= leading)  # the others keep their colours
                            for i, (name, record) in enumerate(self.records.items())])
                  for column, names in found.items() if len(names) >= min(2, len(self.records))]
        evaluated = [(title.removeprefix("eval/"), lines) for title, lines in charts if title.startswith("eval/")]
        return evaluated, [(title, lines) for title, lines in charts if not title.startswith("eval/")]


def differences(records: Mapping[str, Record]) -> dict[str, list[str]]:
    """{option: its value in each run}, of the options that are not the same in all."""
    configs = [flat(record.config) for record in records.values()]
    return {name: [config.get(name, ABSENT) for config in configs]
            for name in dict.fromkeys(name for config in configs for name in config)
            if len({config.get(name) for config in configs}) > 1}


def _final(record: Record) -> dict[str, float]:
    """The final metrics of a run, those of training only if there are no others, and its time and speed."""
    final = record.final()
    phases = {name.partition("/")[0] for name in record.columns if "/" in name} - {"eval"}
    metrics = {name: value for name, value in final.items() if name.partition("/")[0] not in phases}
    speeds = {name: record.summary.get(name, record.counters().get(name)) for name in SPEEDS}
    return {**(metrics or final), **{name: float(value) for name, value in speeds.items()
                                     if isinstance(value, (int, float))}}


def _best(records: Mapping[str, Record], name: str, column: int, values: Sequence[float]) -> list[tuple[int, int]]:
    """The cells of a column that hold its best value, if it is known what is better, and not all are the same."""
    better = next(filter(None, (record.better(name) for record in records.values())), "")
    there = {value for value in values if math.isfinite(value)}
    if not better or len(there) < 2 or name in SPEEDS:
        return []
    target = max(there) if better == "higher" else min(there)
    return [(row, column) for row, value in enumerate(values, start=1) if value == target]


def _sums(values: Mapping[str, Mapping[str, float]], names: Sequence[str]) -> list[list[str]]:
    """The rows of the mean and of the sample's standard deviation (n - 1)."""
    each = [[found[name] for found in values.values() if name in found] for name in names]
    with np.errstate(invalid="ignore"):
        mean = [digits(float(np.mean(numbers))) for numbers in each]
        spread = [digits(float(np.std(numbers, ddof=1))) if len(numbers) > 1 else ABSENT for numbers in each]
    return [["mean", *mean], ["standard deviation", *spread]]


def _configuration(records: Mapping[str, Record]) -> list[str]:
    """What differs as a table, and what is the same folded away."""
    different = differences(records)
    same = {name: text for record in records.values() for name, text in flat(record.config).items()
            if name not in different}
    rows = [["option", *records], *([name, *map(_cut, texts)] for name, texts in different.items())]
    table = columns(rows, texts=range(len(rows[0]))) if different else paragraph(
        "Nothing." if same else "None is recorded.")
    return [table, folded(f"{len(same)} options are the same", [pairs(same.items())] if same else [])]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST - 1]}…"


def _notices(records: Mapping[str, Record]) -> list[str]:
    """What must be known of a run before its metrics are compared."""
    found = {name: str(record.summary.get("stopped") or "") if record.summary else
             "unfinished: its values are the last that were logged" for name, record in records.items()}
    return [paragraph(f"{name}: {text}", "notice") for name, text in found.items() if text]


def _number(value: float | str | None) -> str:
    """A number of the table; whole ones, as of parameters, in full. Texts as they are."""
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:,}" if isinstance(value, int) else digits(value)


def _place(folder: Path, name: str, record: Record) -> str:
    """The way to a run's report, or its name alone if it has none, and how far it is."""
    report = record.folder / "report.html"
    counters = " · ".join(f"{unit} {shown(unit, value)}" for unit, value in record.counters().items())
    text = way(folder, report, name) if report.exists() else escape(name)
    return f"{text} <span class=quiet>{escape(counters)}</span>"
