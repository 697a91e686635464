"""The plot of points and a line: colours where the numbers are."""

import numpy as np
import pytest

from engine import Invalid
from engine.reporting.chart import COLOURS
from engine.reporting.points import FOOT, HEIGHT, LEFT, RIGHT, TOP, WIDTH, points


def rgb(text):
    return tuple(int(text[i:i + 2], 16) for i in (1, 3, 5))


def plot_of(groups, line):
    image = np.asarray(points(groups, line, "x", "y"))
    assert image.shape == (HEIGHT, WIDTH, 3)
    return image[TOP:HEIGHT - FOOT, LEFT:WIDTH - RIGHT]


def near(image, colour):
    """Rows and columns of a colour, in fractions of the plot, from its lower left corner."""
    rows, columns = np.nonzero((abs(image.astype(int) - rgb(colour)) < 8).all(axis=-1))
    return 1 - rows / image.shape[0], columns / image.shape[1]


def test_points_lie_where_their_numbers_are():
    image = plot_of({"train": ([2.0, 2.0], [3.0, 3.0]), "test": ([8.0], [6.0])}, ("fit", ([0.0, 10.0], [0.0, 10.0])))
    for colour, x, y in ((COLOURS[0], 0.2, 0.3), (COLOURS[1], 0.8, 0.6)):
        up, across = near(image, colour)
        assert (across.mean(), up.mean()) == pytest.approx((x, y), abs=0.01)
    up, across = near(image, COLOURS[2])
    assert np.allclose(up, across, atol=0.02)  # the line goes from corner to corner
    assert (across.min(), across.max()) == pytest.approx((0, 1), abs=0.01)


def test_numbers_that_are_not_finite_are_left_out():
    line = ("fit", ([0.0, 10.0], [0.0, 0.0]))
    whole = plot_of({"train": ([2.0, 3.0], [3.0, np.nan])}, line)
    assert np.array_equal(whole, plot_of({"train": ([2.0], [3.0])}, line))


@pytest.mark.parametrize("places, text", [
    (([1.0, 2.0], [1.0]), r"`train` \(x \[2\], y \[1\]\) must be of one length"),
    (([1.0], [np.inf]), r"`train` \(no finite point\) must be of at least one point"),
])
def test_bad_places_are_named(places, text):
    with pytest.raises(Invalid, match=text):
        points({"train": places}, ("fit", ([0.0], [0.0])), "x", "y")
