"""Line charts: elements of a page that hold their numbers; page.js draws them, as wide as the window lets them be."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape

import numpy as np

from engine.errors import require
from engine.reporting.progress import digits

POINTS = 500  # the most per line; more cannot be seen
FAINT_POINTS = 60  # of a line that is one of many
LIMIT = 1e300  # larger numbers would overflow in the arithmetic of the axes
FLAT, WIDE = 50.0, 100.0  # largest over middle value, and spread of 90 %, from which on a line is read on a log axis
UNITS = {"epochs": "epoch", "cycles": "cycle", "seconds": "seconds"}  # what x may count, and its column
# After Okabe and Ito, for the colour-blind; each readable on white and on black.
COLOURS = ("#2a86c8", "#d55e00", "#009e73", "#cc79a7", "#b58900", "#56b4e9", "#7f7f7f", "#8a5cd6")
DASHES = ("", "6 3", "2 3")  # for the lines after the eighth


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
      name: Its name in the legend.
      x: {a unit of ``UNITS``: a number per point, ascending}; units that are not known are left out.
      y: A number per point; infinities and NaN leave a gap.
      look: Number of its look, of ``look``; None for its place in the chart.
      faint: Whether it is one of many: grey, below the others, and named where the pointer is at it.
    """

    name: str
    x: Mapping[str, Sequence[float]]
    y: Sequence[float]
    look: int | None = None
    faint: bool = False


@dataclass(frozen=True)
class Across:
    """What a chart of points has along x, in the place of the page's epochs, cycles or seconds.

    Attributes:
      label: What it is.
      log: Whether the axis is logarithmic.
      names: Names of the values 0, 1, ... along it, where they are no numbers.
    """

    label: str
    log: bool = False
    names: Sequence[str] = ()


VALUE = "value"  # in the place of a unit, in the lines of a chart with an ``Across``


def chart(title: str, lines: Sequence[Line], across: Across | None = None) -> str:
    """A line chart, with a switch between a linear and a log axis.

    Args:
      title: Heading.
      lines: One line or more; a value is shown while the pointer, or an arrow key, is at it.
      across: What is across in a chart of points: each line is one, {``VALUE``: [x]} and [y]; a y that is not finite
        is a cross.

    Returns:
      A ``<figure>`` element, for a page of ``page.page``.

    Raises:
      Invalid: A line whose x and y are of two lengths.
    """
    for line in lines:
        for unit, places in line.x.items():
            require(len(places) == len(line.y), line.name, f"{len(line.y)} points", f"a number for each of the "
                    f"{len(places)} {unit}")
    values = [number for line in lines for number in line.y if math.isfinite(number)]
    log = _reads_better_on_log(np.asarray(values))
    order = sorted(enumerate(lines), key=lambda each: not each[1].faint)  # the faint ones first, under the others
    described = {"log": log, "lines": [_described(line, i) for i, line in order],
                 **({"across": asdict(across)} if across else {})}
    told = "; ".join(_told(line) for line in lines if not line.faint)
    told += f"; and {count} more" if (count := sum(line.faint for line in lines)) else ""
    switch = (f'<button type="button" class="log" aria-pressed="{str(log).lower()}" title="logarithmic axis">log'
              "</button>" if values and max(values) > 0 else "")
    return (f'<figure class="chart"><figcaption><b>{escape(title)}</b>{switch}</figcaption>'
            f'<div class="plot" tabindex="0" role="img" aria-label="{escape(f"{title}: {told}")}"></div>'
            f'<output class="tip" hidden></output>{_legend(lines)}{data(described)}</figure>')


def data(value: object) -> str:
    """JSON for page.js, in an element of the page."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json">{text}</script>'


def look(i: int) -> tuple[str, str]:
    """Colour and dashes of the i-th line."""
    return COLOURS[i % len(COLOURS)], DASHES[i // len(COLOURS) % len(DASHES)] or "none"


def thin(values: np.ndarray, most: int = POINTS) -> np.ndarray:
    """Indices of at most ``most`` of the values: the first, the last, and the least and largest of equal parts between.

    A part without a finite value keeps one that is not, so that the gap stays.
    """
    count = len(values)
    if count <= most:
        return np.arange(count)
    parts = most // 2 - 1
    size = math.ceil((count - 2) / parts)
    padded = np.full(parts * size, np.nan)
    padded[:count - 2] = values[1:-1]
    part = padded.reshape(parts, size)
    starts = 1 + size * np.arange(parts)
    finite = np.isfinite(part)
    low = starts + np.where(finite, part, np.inf).argmin(axis=1)
    high = starts + np.where(finite, part, -np.inf).argmax(axis=1)
    kept = np.unique(np.concatenate([[0], low, high]))
    return np.append(kept[kept < count - 1], count - 1)


def _reads_better_on_log(values: np.ndarray) -> bool:
    """Whether a linear axis would press most values against its foot."""
    if not values.size or values.min() <= 0:
        return False
    low, middle, high = np.percentile(values, [5, 50, 95])
    return bool(values.max() > FLAT * middle or high > WIDE * low)


def _described(line: Line, i: int) -> dict[str, object]:
    """What page.js needs of a line."""
    y = np.asarray(line.y, np.float64)
    kept = thin(y, FAINT_POINTS if line.faint else POINTS)
    colour, dash = ("var(--quiet)", "none") if line.faint else look(i if line.look is None else line.look)
    return {"name": line.name, **({"faint": True} if line.faint else {}), "colour": colour, "dash": dash,
            "y": [_short(y[at]) for at in kept],
            "x": {unit: [_short(float(places[at])) for at in kept] for unit, places in line.x.items()}}


def _short(value: float) -> float | None:
    """A number of 7 digits, or of all if it is whole; None leaves a gap."""
    if not math.isfinite(value):
        return None
    if float(value).is_integer() and abs(value) < 2**53:
        return int(value)
    value = max(-LIMIT, min(LIMIT, float(value)))
    return 0 if abs(value) < 1 / LIMIT else float(f"{value:.7g}")


def _told(line: Line) -> str:
    """A line in words, for those who do not see it."""
    there = [value for value in line.y if math.isfinite(value)]
    if not there:
        return f"{line.name} has no values yet"
    return f"{line.name} from {digits(there[0])} to {digits(there[-1])}, lowest {digits(min(there))}, highest " \
           f"{digits(max(there))}"


def _legend(lines: Sequence[Line]) -> str:
    """Each line's look, name and last number."""
    items = []
    for i, line in enumerate(lines):
        if line.faint:
            continue
        colour, dash = look(i if line.look is None else line.look)
        last = next((digits(value) for value in reversed(line.y) if math.isfinite(value)), "")
        swatch = f'<path d="M0 4h22" stroke="{colour}" stroke-width="2.5" stroke-dasharray="{dash}"/>'
        items.append(f'<li><svg width="22" height="8" aria-hidden="true">{swatch}</svg>{escape(line.name)} '
                     f"<span>{last}</span></li>")
    return f'<ul class="legend">{"".join(items)}</ul>'
