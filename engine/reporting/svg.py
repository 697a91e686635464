"""A line chart as one still picture (SVG), for where no script may draw it, as in a notebook."""

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from engine.reporting.chart import Line, look, thin
from engine.reporting.progress import digits
from engine.reporting.scale import WIDER, Axis

WIDTH, HEIGHT = 330, 200  # pixels
LEFT, RIGHT, TOP, BOTTOM = 52, 8, 38, 34  # room around the plot
TEXT = 'font-family="sans-serif" font-size="11" fill="#808080"'  # grey is read on white and on black


def svg(title: str, lines: Sequence[Line], unit: str = "epochs") -> str:
    """A line chart over ``unit``; empty if no line has a finite value."""
    points = [[(float(x), float(y)) for x, y in zip(line.x.get(unit, ()), line.y, strict=False) if math.isfinite(y)]
              for line in lines]
    there = [point for each in points for point in each]
    if not there:
        return ""
    across = Axis.over([x for x, _ in there], LEFT, WIDTH - RIGHT, pad=False, apart=WIDER)
    up = Axis.over([y for _, y in there], HEIGHT - BOTTOM, TOP)
    drawn = [_ticks(across, up), *(_line(each, i, across, up) for i, each in enumerate(points))]
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" role="img">'
            f'<text x="{LEFT}" y="13" {TEXT} font-weight="bold">{escape(title)}</text>{_legend(lines, points)}'
            f'{"".join(drawn)}<text x="{WIDTH - RIGHT}" y="{HEIGHT - 3}" text-anchor="end" {TEXT}>{unit}</text></svg>')


def _ticks(across: Axis, up: Axis) -> str:
    """The numbers of both axes, and a thin line at each of those upwards."""
    parts = [f'<path d="M{LEFT} {up.at(value):.1f}H{WIDTH - RIGHT}" stroke="#80808040"/><text x="{LEFT - 5}" '
             f'y="{up.at(value) + 4:.1f}" text-anchor="end" {TEXT}>{text}</text>' for value, text in up.ticks]
    parts += [f'<text x="{across.at(value):.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle" {TEXT}>{text}</text>'
              for value, text in across.ticks]
    return "".join(parts)


def _line(points: Sequence[tuple[float, float]], i: int, across: Axis, up: Axis) -> str:
    colour, dash = look(i)
    kept = [points[at] for at in thin(np.asarray([y for _, y in points]))] if points else []
    places = [f"{across.at(x):.1f},{up.at(y):.1f}" for x, y in kept]
    dots = "".join(f'<circle cx="{place.split(",")[0]}" cy="{place.split(",")[1]}" r="2.5" fill="{colour}"/>'
                   for place in places) if len(places) <= 20 else ""
    return (f'<polyline points="{" ".join(places)}" fill="none" stroke="{colour}" stroke-width="1.8" '
            f'stroke-dasharray="{dash}"/>{dots}')


def _legend(lines: Sequence[Line], points: Sequence[Sequence[tuple[float, float]]]) -> str:
    """Each line's name and last number, in its colour."""
    spans = [f'<tspan dx="{10 if i else 0}" fill="{look(i)[0]}">{escape(line.name)} {digits(each[-1][1])}</tspan>'
             for i, (line, each) in enumerate(zip(lines, points, strict=True)) if each]
    return f'<text x="{LEFT}" y="28" {TEXT}>{"".join(spans)}</text>'
