"""Line charts as inline SVG: no script, no style sheet, readable on light and on dark."""

import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from engine.errors import require
from engine.reporting.progress import digits
from engine.reporting.scale import WIDER, Axis

WIDTH, PLOT, TOP, FOOT, RIGHT = 540, 200, 34, 40, 28  # pixels
CHARACTER = 6.3  # pixels; about a character's width in the legend and on the axes
LEGEND_LINE = 18  # pixels
POINTS = 500  # the most per line; more cannot be seen
DOTS = 30  # so few points are shown as dots too
LIMIT = 1e300  # larger numbers would overflow in the arithmetic of the axes
# After Okabe and Ito, for the colour-blind; each readable on white and on black.
COLOURS = ("#2a86c8", "#d55e00", "#009e73", "#cc79a7", "#b58900", "#56b4e9", "#7f7f7f", "#8a5cd6")
DASHES = ("", "6 3", "2 3")  # for the lines after the eighth

Points = list[tuple[float, float]]


def chart(title: str, x: Sequence[float], series: Mapping[str, Sequence[float]], x_label: str) -> str:
    """Draw a line chart.

    Args:
      title: Its heading.
      x: Where the points lie, ascending.
      series: {name: a number per x}; NaN and infinities leave a gap.
      x_label: What x counts.

    Returns:
      An ``<svg>`` element.

    Raises:
      Invalid: for a series of another length than x.
    """
    for name, values in series.items():
        require(len(values) == len(x), name, f"{len(values)} points", f"a number for each of the {len(x)} x")
    lines = {name: _segments(thin(x, values)) for name, values in series.items()}
    points = [point for segments in lines.values() for segment in segments for point in segment]
    rows = _legend_rows(list(series))
    height = TOP + PLOT + FOOT + LEGEND_LINE * len(rows)
    parts = [f'<text x="0" y="15" font-size="13" font-weight="600">{escape(title)}</text>']
    if points:
        down = Axis.over([y for _, y in points], TOP + PLOT, TOP)
        left = 12 + CHARACTER * max(len(text) for _, text in down.ticks)
        counter = all(float(v).is_integer() for v in x)
        across = Axis.over([v for v, _ in points], left, WIDTH - RIGHT, False, float(counter), WIDER)
        parts += _axes(across, down, x_label)
        parts += [_line(name, i, lines[name], across, down, x_label) for i, name in enumerate(series)]
    else:
        parts.append(f'<text x="{WIDTH / 2}" y="{TOP + PLOT / 2}" text-anchor="middle">no figures yet</text>')
    last = {name: segments[-1][-1][1] for name, segments in lines.items() if segments}
    parts += _legend(rows, list(series), last)
    return (f'<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
            f'aria-label="{escape(title)}" font-family="system-ui, sans-serif" font-size="11" '
            f'fill="currentColor">{"".join(parts)}</svg>')


def thin(x: Sequence[float], values: Sequence[float]) -> Points:
    """At most 500 of the points: the first, the last, and the least and largest of equal parts between.

    Returns:
      (x, y) in order; y is NaN where a whole part has no number.
    """
    points = [(float(a), max(-LIMIT, min(LIMIT, float(b))) if math.isfinite(b) else math.nan)
              for a, b in zip(x, values, strict=True)]
    if len(points) <= POINTS:
        return points
    parts = np.array_split(np.arange(1, len(points) - 1), POINTS // 2 - 1)
    kept = [0]
    for part in parts:
        there = [i for i in part if not math.isnan(points[i][1])] or [part[0]]
        ends = {min(there, key=lambda i: points[i][1]), max(there, key=lambda i: points[i][1])}
        kept += sorted(int(i) for i in ends)
    return [points[i] for i in [*kept, len(points) - 1]]


def _segments(points: Points) -> list[Points]:
    """The runs of points between gaps."""
    segments: list[Points] = [[]]
    for point in points:
        if not math.isnan(point[1]):
            segments[-1].append(point)
        elif segments[-1]:
            segments.append([])
    return [segment for segment in segments if segment]


def _axes(across: Axis, down: Axis, x_label: str) -> list[str]:
    """Grid lines, the numbers on them, and what x counts."""
    left, right, bottom = across.begin, across.end, down.begin
    parts = []
    for value, text in down.ticks:
        y = down.at(value)
        parts.append(f'<path d="M{left:.1f} {y:.1f}H{right:.1f}" stroke="currentColor" stroke-opacity=".15"/>'
                     f'<text x="{left - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    for value, text in across.ticks:
        at = across.at(value)
        parts.append(f'<path d="M{at:.1f} {bottom}v4" stroke="currentColor" stroke-opacity=".5"/>'
                     f'<text x="{at:.1f}" y="{bottom + 16}" text-anchor="middle">{text}</text>')
    parts.append(f'<path d="M{left:.1f} {bottom}H{right:.1f}" stroke="currentColor" stroke-opacity=".5"/>'
                 f'<text x="{(left + right) / 2:.1f}" y="{bottom + 31}" text-anchor="middle" opacity=".7">'
                 f'{escape(x_label)}</text>')
    return parts


def _line(name: str, i: int, segments: list[Points], across: Axis, down: Axis, x_label: str) -> str:
    """One series: a line per run of points; dots where they are few or alone."""
    few = sum(map(len, segments)) <= DOTS
    strokes, dots = [], []
    for segment in segments:
        places = [f"{across.at(a):.1f},{down.at(b):.1f}" for a, b in segment]
        if len(segment) > 1:
            strokes.append(f'<polyline points="{" ".join(places)}"/>')
        if few or len(segment) == 1:
            dots += [f'<circle cx="{place.split(",")[0]}" cy="{place.split(",")[1]}" r="2.5">'
                     f"<title>{escape(name)}, {escape(x_label)} {a:.10g}: {digits(b)}</title></circle>"
                     for place, (a, b) in zip(places, segment, strict=True)]
    colour, dash = look(i)
    return (f'<g fill="none" stroke="{colour}" stroke-width="1.6" stroke-dasharray="{dash}" '
            f'stroke-linejoin="round">{"".join(strokes)}</g><g fill="{colour}">{"".join(dots)}</g>')


def look(i: int) -> tuple[str, str]:
    """Colour and dashes of the i-th line."""
    return COLOURS[i % len(COLOURS)], DASHES[i // len(COLOURS) % len(DASHES)] or "none"


def _legend_rows(names: list[str]) -> list[list[tuple[float, str]]]:
    """Where each name stands, in as many rows as are needed."""
    rows: list[list[tuple[float, str]]] = [[]]
    at = 0.0
    for name in names:
        width = 44 + CHARACTER * (len(name) + 9)
        if rows[-1] and at + width > WIDTH:
            rows.append([])
            at = 0.0
        rows[-1].append((at, name))
        at += width
    return rows


def _legend(rows: list[list[tuple[float, str]]], names: list[str], last: Mapping[str, float]) -> list[str]:
    """Each line's look, name and last number."""
    parts = []
    for number, row in enumerate(rows):
        y = TOP + PLOT + FOOT + LEGEND_LINE * number + 10
        for at, name in row:
            colour, dash = look(names.index(name))
            value = f' <tspan opacity=".7">{digits(last[name])}</tspan>' if name in last else ""
            parts.append(f'<path d="M{at:.0f} {y - 4}h22" stroke="{colour}" stroke-width="2.5" '
                         f'stroke-dasharray="{dash}"/>'
                         f'<text x="{at + 28:.0f}" y="{y}">{escape(name)}{value}</text>')
    return parts
