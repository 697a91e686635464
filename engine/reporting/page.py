"""The pieces of a page: plain HTML, no script, nothing from the network. All text is escaped here."""

import os
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, CanvasText 18%, Canvas); }
body { font: 15px/1.5 system-ui, sans-serif; background: Canvas; color: CanvasText; max-width: 1120px;
       margin: 2rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .7rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .5rem; } p { margin: .3rem 0 .8rem; max-width: 75ch; }
.quiet, figcaption { opacity: .7; font-size: .87rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td { border-bottom: 1px solid var(--line); padding: .22rem 1.4rem .22rem 0; vertical-align: top;
     overflow-wrap: anywhere; }
td.number { text-align: right; white-space: nowrap; }
th { text-align: right; padding: .22rem 1.4rem .22rem 0; font-weight: 600; } th:first-child { text-align: left; }
.side { display: flex; flex-wrap: wrap; gap: 1rem 3.5rem; align-items: flex-start; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(430px, 100%), 1fr));
          gap: 1.6rem 2rem; margin: 1.4rem 0; }
.charts svg { width: 100%; height: auto; max-width: 600px; }
figure { margin: 0; } img { max-width: 100%; height: auto; border: 1px solid var(--line); display: block; }
.strip { display: flex; flex-wrap: wrap; gap: .8rem; margin: .8rem 0 1.4rem; }
.strip img { width: 118px; }
section.run { border-top: 1px solid var(--line); margin-top: 2.5rem; }
"""


def page(title: str, body: Iterable[str]) -> bytes:
    """A whole page of finished pieces."""
    return ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>\n"
            + "\n".join(body) + "\n</body></html>\n").encode(errors="backslashreplace")


def heading(level: int, text: str) -> str:
    """A heading."""
    return f"<h{level}>{escape(text)}</h{level}>"


def paragraph(text: str, quiet: bool = False) -> str:
    """A paragraph; nothing for no text."""
    return f"<p{' class=quiet' if quiet else ''}>{escape(text)}</p>" if text else ""


def table(rows: Iterable[Sequence[str]], numbers: bool = True) -> str:
    """Rows of texts: a name, a value (set as a number or as a text), and perhaps a note."""
    lines = []
    for name, value, *notes in rows:
        cells = [f"<td>{escape(name)}</td>", f"<td{' class=number' if numbers else ''}>{escape(value)}</td>",
                 *(f"<td class=quiet>{escape(note)}</td>" for note in notes)]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table>{''.join(lines)}</table>" if lines else ""


def columns(rows: Sequence[Sequence[str]]) -> str:
    """A table of many columns: its head, then a name and numbers in each row."""
    head, *body = rows
    top = "".join(f"<th>{escape(text)}</th>" for text in head)
    lines = [f"<tr><td>{escape(row[0])}</td>" + "".join(f"<td class=number>{escape(text)}</td>" for text in row[1:])
             + "</tr>" for row in body]
    return f"<table><tr>{top}</tr>{''.join(lines)}</table>"


def picture(source: str, caption: str) -> str:
    """A picture with its caption; it leads to the file. ``source`` is a finished link."""
    return (f'<figure><a href="{source}"><img src="{source}" alt="{escape(caption)}" loading="lazy"></a>'
            f"<figcaption>{escape(caption)}</figcaption></figure>")


def box(name: str, parts: Iterable[str]) -> str:
    """A block of the style ``name`` around pieces."""
    return f'<div class="{name}">{"".join(parts)}</div>'


def link(source: Path, target: Path) -> str:
    """The way from the folder ``source`` to the file or folder ``target``, ready for href and src."""
    return quote(Path(os.path.relpath(target.resolve(), source.resolve())).as_posix())
