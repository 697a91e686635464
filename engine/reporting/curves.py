"""Which columns of metrics.csv belong in one chart."""

import math
from collections.abc import Sequence

from engine.reporting.chart import UNITS, Line, chart
from engine.reporting.record import COUNTERS, Record

OF_UPDATES = {"learning_rate": "learning rate", "gradient_norm": "gradient norm"}  # terms of a chart for all phases
Chart = tuple[str, list[Line]]


def line(record: Record, column: str, name: str, look: int | None = None, faint: bool = False) -> Line:
    """A column's numbers, over the rows that have one."""
    values = record.columns[column]
    rows = [i for i, value in enumerate(values) if not math.isnan(value)]
    return Line(name, {unit: [record.columns[place][i] for i in rows] for unit, place in UNITS.items()
                       if place in record.columns}, [values[i] for i in rows], look, faint)


def charts_of(record: Record) -> list[Chart]:
    """(title, lines) of each chart of a run, those of the evaluated metrics first.

    A metric is drawn with the phases' term of the same name; the other terms of a phase lie together; the learning
    rates and the gradient norms of all phases have a chart each, the last.
    """
    columns = written(record)
    evaluated = [name.partition("/")[2] for name in columns if name.startswith("eval/")]
    trained = [name for name in columns if not name.startswith("eval/")]
    charts: list[Chart] = []
    for metric in evaluated:
        phases = [name for name in trained if name.partition("/")[2] == metric]
        lines = [line(record, name, "training" if len(phases) == 1 else f"training, {name.partition('/')[0]}")
                 for name in phases]
        charts.append((metric, [*lines, line(record, f"eval/{metric}", "validation", max(1, len(lines)))]))
    others: dict[str, list[str]] = {}
    for name in trained:
        phase, _, term = name.partition("/")
        if term not in evaluated and term not in OF_UPDATES:
            others.setdefault(phase, []).append(name)
    charts += [(phase if len(names) > 1 else names[0],
                [line(record, name, name.partition("/")[2] or name) for name in names])
               for phase, names in others.items()]
    for term, title in OF_UPDATES.items():
        lines = [line(record, name, name.partition("/")[0]) for name in trained if name.partition("/")[2] == term]
        charts += [(title, lines)] if lines else []
    return charts


def written(record: Record) -> list[str]:
    """The columns with a number in some row, the counters aside."""
    return [name for name, values in record.columns.items()
            if name not in COUNTERS and not all(map(math.isnan, values))]


def rendered(charts: Sequence[Chart]) -> list[str]:
    """The charts as pieces of a page."""
    return [chart(title, lines) for title, lines in charts]
