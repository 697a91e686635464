"""comparison.html: what several runs cost and reach, on one page."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from engine.reporting.chart import chart
from engine.reporting.files import write_whole
from engine.reporting.page import box, columns, heading, link, page
from engine.reporting.record import Record


def write_comparison(folder: Path, rows: Sequence[Sequence[str]], runs: Mapping[str, Path]) -> Path:
    """Write ``comparison.html``: the table, a chart per evaluated metric with a line per run, and the ways to the runs.

    Args:
      folder: Where the page goes; links are relative to it.
      rows: The table; its first row is the head.
      runs: {name: the run's folder}.

    Returns:
      The file.

    Raises:
      Invalid: if a folder is none, or a file in it cannot be read as what it is.
    """
    records = {name: Record.load(run) for name, run in runs.items()}
    metrics = dict.fromkeys(column for record in records.values() for column in record.columns
                            if column.startswith("eval/"))
    links = [f'<p><a href="{link(folder, run / "report.html")}">{escape(name)}</a></p>' for name, run in runs.items()]
    body = [heading(1, "Nets under one budget"), columns(rows), heading(2, "Charts"),
            box("charts", [_chart(metric, records) for metric in metrics]), heading(2, "Runs"), *links]
    path = folder / "comparison.html"
    write_whole(path, page("Nets under one budget", body))
    return path


def _chart(metric: str, records: Mapping[str, Record]) -> str:
    """One metric of every run over the epochs; a run that was not evaluated at an epoch has a gap there."""
    found = {name: dict(zip(record.columns["epoch"], record.columns.get(metric, []), strict=False))
             for name, record in records.items() if record.columns}
    evaluated = sorted({epoch for values in found.values() for epoch, value in values.items()
                        if not math.isnan(value)})
    return chart(metric.removeprefix("eval/"), evaluated,
                 {name: [values.get(epoch, math.nan) for epoch in evaluated] for name, values in found.items()},
                 "epoch")
