"""What a notebook shows of a history, a trainer or an opened run."""

from html import escape
from pathlib import Path

from engine.reporting.curves import charts_of
from engine.reporting.record import Record
from engine.reporting.report import metrics_of
from engine.reporting.svg import svg
from engine.reporting.writer import History

MOST = 12  # charts; the report has them all


def of_history(history: History) -> str:
    """Its metrics as a table, and its curves, as HTML without style sheets or scripts."""
    columns = {name: [float(value) for value in values] for name, values in history.columns.items()}
    record = Record(Path(), {}, {"metrics": history.metrics}, {}, columns, {})
    table = metrics_of(record) if record.final() else ""
    drawn = [svg(title, lines) for title, lines in charts_of(record)[:MOST]]
    return f'<div>{table}<div style="display:flex;flex-wrap:wrap">{"".join(drawn)}</div></div>'


def named(text: str, history: History | None) -> str:
    """A line of text, and what was recorded below it."""
    return f"<p><code>{escape(text)}</code></p>" + (of_history(history) if history is not None else "")
