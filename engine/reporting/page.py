"""The pieces of a page: HTML in one file, nothing from the network. All text is escaped here."""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from engine.reporting.chart import UNITS

STYLE, SCRIPT = (Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))


def page(title: str, body: Iterable[str]) -> bytes:
    """A whole page of finished pieces."""
    return ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>\n"
            + "\n".join(body) + f"\n<script>{SCRIPT}</script></body></html>\n").encode(errors="backslashreplace")


def heading(level: int, text: str) -> str:
    """A heading."""
    return f"<h{level}>{escape(text)}</h{level}>"


def paragraph(text: str, style: str = "") -> str:
    """A paragraph, of the style "quiet" or "notice"; nothing for no text."""
    return f"<p{f' class={style}' if style else ''}>{escape(text)}</p>" if text else ""


def pairs(rows: Iterable[tuple[str, str]]) -> str:
    """A table of names and texts."""
    lines = [f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in rows]
    return f'<table class="pairs">{"".join(lines)}</table>' if lines else ""


def columns(rows: Sequence[Sequence[str]], texts: Collection[int] = (0,), best: Collection[tuple[int, int]] = (),
            sums: int = 0, ways: Mapping[int, str] | None = None) -> str:
    """A table of many columns.

    Args:
      rows: The head, then rows of its length.
      texts: Columns that hold texts; the others hold numbers.
      best: (row, column) of cells that are marked as the best of their column; row 1 is the first after the head.
      sums: Number of rows, the last ones, that sum the others up.
      ways: {row: where its first cell leads to}, relative to the page.
    """
    lines = []
    for i, row in enumerate(rows):
        cells = []
        for j, text in enumerate(row):
            styles = [*["number"] * (j not in texts), *["best"] * ((i, j) in best)]
            tag, title = "th" if i == 0 else "td", ' title="best"' if (i, j) in best else ""
            style = f' class="{" ".join(styles)}"' if styles else ""
            leads = (ways or {}).get(i) if j == 0 else None
            shown = f'<a href="{quote(leads)}">{escape(text)}</a>' if leads else escape(text)
            cells.append(f"<{tag}{style}{title}>{shown}</{tag}>")
        lines.append(f"<tr{' class=sum' if i >= len(rows) - sums else ''}>{''.join(cells)}</tr>")
    return f'<div class="scroll"><table class="columns">{"".join(lines)}</table></div>'


def axis_switch() -> str:
    """The switch of what all charts of the page count along x; once on a page with charts."""
    units = "".join(f'<label><input type="radio" name="unit" value="{unit}"{" checked" * (not i)}> {unit}</label>'
                    for i, unit in enumerate(UNITS))
    return (f'<div class="bar"><fieldset><legend>x axis</legend>{units}</fieldset></div>'
            "<noscript><p class=notice>The curves are drawn by JavaScript, which is off here.</p></noscript>")


def folded(title: str, parts: Iterable[str]) -> str:
    """Pieces that are folded away until they are wanted; nothing for no pieces."""
    text = "".join(parts)
    return f"<details><summary>{escape(title)}</summary>{text}</details>" if text else ""


def box(name: str, parts: Iterable[str]) -> str:
    """A block of the style ``name`` around pieces."""
    return f'<div class="{name}">{"".join(parts)}</div>'


def way(source: Path, target: Path, text: str) -> str:
    """A text that leads from a page in the folder ``source`` to the file ``target``."""
    place = quote(Path(os.path.relpath(target.resolve(), source.resolve())).as_posix())
    return f'<a href="{place}">{escape(text)}</a>'
