"""Precision and recall of each class, as the newest confusion picture holds them."""

import json
from typing import Any

from PIL import Image

from engine.reporting.page import columns, folded
from engine.reporting.progress import digits
from engine.reporting.record import Record

NAME = "confusion"  # of the picture, and of the text in it
MANY = 24  # classes; more are folded away


def per_class(run: Record) -> str:
    """A table with a row per class; "" for a run without a confusion picture."""
    files = run.pictures.get(NAME)
    rows = _rows(run, files[-1][1]) if files else []
    if not rows:
        return ""
    head = ["class", "examples", "precision", "recall", "F1", "most often taken for"]
    table = columns([head, *map(_cells, rows)], texts=(0, len(head) - 1))
    return folded(f"{len(rows)} classes", [table]) if len(rows) > MANY else table


def _rows(run: Record, file: str) -> list[dict[str, Any]]:
    try:
        with Image.open(run.folder / "pictures" / file) as picture:
            found = json.loads(picture.info.get(NAME, "[]"))
        return [dict(row) for row in found]
    except (OSError, ValueError, TypeError):  # a picture that was spoilt shows as that
        return []


def _cells(row: dict[str, Any]) -> list[str]:
    """The row of a class: no precision of one that is never predicted, no recall of one without examples."""
    examples, predicted, correct = (int(row[name]) for name in ("examples", "predicted", "correct"))
    taken = f"{row['taken_for']} ({int(row['times']):,})" if row.get("times") else ""
    return [str(row["class"]), f"{examples:,}", _fraction(correct, predicted), _fraction(correct, examples),
            _fraction(2 * correct, predicted + examples), taken]


def _fraction(part: int, whole: int) -> str:
    return digits(part / whole) if whole else "–"
