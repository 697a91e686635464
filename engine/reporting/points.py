"""Points and a line in one plot, as a picture: how a fit lies among the examples."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from engine.errors import require
from engine.reporting.chart import look
from engine.reporting.pictures import INK, WHITE
from engine.reporting.scale import WIDER, Axis

WIDTH, HEIGHT = 640, 420  # pixels
LEFT, RIGHT, TOP, FOOT = 64, 16, 34, 46  # pixels around the plot
FINE = 3  # times larger is drawn, and then averaged down, for smooth edges
GRID = (228, 228, 228)

Places = tuple[Sequence[float], Sequence[float]]


def points(groups: Mapping[str, Places], line: tuple[str, Places], x_label: str, y_label: str) -> Image.Image:
    """Draw groups of points, and a line over them.

    Args:
      groups: {name: (x, y)}, numbers of one length.
      line: (name, (x, y)), its corners in order.
      x_label: What x is.
      y_label: What y is.

    Returns:
      An RGB image.

    Raises:
      Invalid: x and y of two lengths, or no finite point in a group or the line.
    """
    shown = {name: _finite(name, places) for name, places in {**groups, line[0]: line[1]}.items()}
    every = np.concatenate(list(shown.values()))
    across = Axis.over(every[:, 0].tolist(), LEFT, WIDTH - RIGHT, apart=WIDER)
    down = Axis.over(every[:, 1].tolist(), HEIGHT - FOOT, TOP)
    page = Image.new("RGB", (WIDTH * FINE, HEIGHT * FINE), WHITE)
    draw = ImageDraw.Draw(page)
    _grid(draw, across, down)
    for i, (name, places) in enumerate(shown.items()):
        spots = [(across.at(x) * FINE, down.at(y) * FINE) for x, y in places]
        if name == line[0]:
            draw.line(spots, fill=look(i)[0], width=2 * FINE, joint="curve")
        else:
            for x, y in spots:
                draw.ellipse((x - 2.5 * FINE, y - 2.5 * FINE, x + 2.5 * FINE, y + 2.5 * FINE), fill=look(i)[0])
    page = page.resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    _words(ImageDraw.Draw(page), across, down, list(shown), x_label, y_label)
    return page


def _finite(name: str, places: Places) -> np.ndarray:
    x, y = (np.asarray(values, np.float64) for values in places)
    require(x.ndim == 1 and x.shape == y.shape, name, f"x {list(x.shape)}, y {list(y.shape)}", "of one length")
    there = np.isfinite(x) & np.isfinite(y)
    require(there.any(), name, "no finite point", "of at least one point")
    return np.stack([x[there], y[there]], axis=1)


def _grid(draw: ImageDraw.ImageDraw, across: Axis, down: Axis) -> None:
    left, right, top, bottom = (at * FINE for at in (LEFT, WIDTH - RIGHT, TOP, HEIGHT - FOOT))
    for y in (down.at(value) * FINE for value, _ in down.ticks):
        draw.line([(left, y), (right, y)], GRID, FINE)
    for x in (across.at(value) * FINE for value, _ in across.ticks):
        draw.line([(x, top), (x, bottom)], GRID, FINE)


def _words(draw: ImageDraw.ImageDraw, across: Axis, down: Axis, names: Sequence[str], x_label: str,
           y_label: str) -> None:
    """The numbers on the axes, what they are, and the names with their colours."""
    font = ImageFont.load_default(size=12)
    for value, text in down.ticks:
        draw.text((LEFT - 6, down.at(value)), text, fill=INK, font=font, anchor="rm")
    for value, text in across.ticks:
        draw.text((across.at(value), HEIGHT - FOOT + 6), text, fill=INK, font=font, anchor="mt")
    draw.text(((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8), x_label, fill=INK, font=font, anchor="mb")
    draw.text((8, 8), y_label, fill=INK, font=font, anchor="lt")
    at = float(WIDTH - RIGHT)
    for i, name in reversed(list(enumerate(names))):
        at -= font.getlength(name) + 24
        draw.rectangle((at, 9, at + 10, 19), fill=look(i)[0])
        draw.text((at + 15, 8), name, fill=INK, font=font, anchor="lt")
