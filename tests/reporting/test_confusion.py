"""The confusion picture: its counts, its shades, where its numbers stand, and what is refused."""

import json
import re
from html import unescape

import numpy as np
import pytest

from engine.errors import Invalid
from engine.reporting.confusion import GAP, RATES, RIGHT, SMALL, WRONG, confusion, confusion_matrix
from engine.reporting.pictures import save
from engine.reporting.report import write_report

CELL = 28  # pixels, where no count is long


def cells(picture, classes, size=CELL):
    """[k, k, size - 1, size - 1, 3]: the insides of the cells, found from the lower right corner."""
    rates = RATES if size == CELL else 0
    page = np.asarray(picture)
    assert page.dtype == np.uint8 and page.ndim == 3 and page.shape[2] == 3
    starts = [page.shape[0] - rates - GAP - (classes - i) * size for i in range(classes)]
    return np.stack([[page[y:y + size - 1, x:x + size - 1] for x in starts] for y in starts])


def test_the_matrix_has_a_row_per_truth_and_a_column_per_guess():
    found = confusion_matrix([0, 0, 2, 2, 2, 1], np.array([0, 1, 2, 0, 0, 1], "uint8"), 4)
    np.testing.assert_array_equal(found, [[1, 1, 0, 0], [0, 1, 0, 0], [2, 0, 1, 0], [0, 0, 0, 0]])
    assert found.dtype == np.int64


def test_the_matrix_holds_every_example_once():
    labels, guesses = np.random.default_rng(0).integers(0, 200, (2, 5000)).astype("uint8")
    found = confusion_matrix(labels, guesses, 200)
    np.testing.assert_array_equal(found.sum(axis=1), np.bincount(labels, minlength=200))
    np.testing.assert_array_equal(found.sum(axis=0), np.bincount(guesses, minlength=200))
    assert np.trace(found) == np.sum(labels == guesses)


def test_a_cell_is_shaded_by_its_fraction_of_its_row():
    # Truth 0: three right, one taken for 2. Truth 1: always taken for 0. Truth 2: never there.
    shown = cells(confusion([0, 0, 0, 0, 1], [0, 0, 0, 2, 0], ["a", "b", "c"]), 3)[:, :, 2, 2].astype(int)
    fractions = {(0, 0): (0.75, RIGHT), (0, 2): (0.25, WRONG), (1, 0): (1.0, WRONG)}
    for row, column in np.ndindex(3, 3):
        fraction, full = fractions.get((row, column), (0.0, RIGHT))
        expected = 255 + fraction * (np.array(full) - 255)
        np.testing.assert_allclose(shown[row, column], expected, atol=1)


def test_numbers_stand_in_the_middle_and_zeros_are_left_out():
    shown = cells(confusion([0, 0, 1, 1], [0, 1, 0, 1], ["a", "b"]), 2)  # each cell: 1, of a fraction of a half
    assert np.array_equal(shown[0, 0], shown[1, 1]) and np.array_equal(shown[0, 1], shown[1, 0])
    drawn = np.any(shown[0, 1] != shown[0, 1][2, 2], axis=-1)[1:-1, 1:-1]
    rows, columns = np.nonzero(drawn)
    assert abs(rows.mean() - 12.5) < 2 and abs(columns.mean() - 12.5) < 2 and 6 < len(rows) < 80
    twice = cells(confusion([0, 0, 1, 1] * 2, [0, 1, 0, 1] * 2, ["a", "b"]), 2)  # 2 in place of 1, the same shades
    assert np.array_equal(twice[0, 0][2, 2], shown[0, 0][2, 2]) and not np.array_equal(twice[0, 0], shown[0, 0])
    empty = cells(confusion([0], [0], ["a", "b"]), 2)[1, 1, 1:-1, 1:-1]
    assert np.all(empty == 255)


def test_numbers_are_light_on_dark_and_dark_on_light():
    shown = cells(confusion([0] * 20 + [1] * 20, [0] * 19 + [1] + [1] * 20, ["a", "b"]), 2)
    assert shown[0, 0].min(axis=2).max() == 255  # 19 of 20: white on blue
    assert shown[0, 1, 1:-1, 1:-1].max(axis=2).min() < 120  # 1 of 20: ink on nearly white


def test_cells_grow_with_their_numbers():
    few = confusion([0, 1], [0, 1], ["a", "b"])
    many = confusion(np.zeros(123_456, int), np.zeros(123_456, int), ["a", "b"])
    assert many.width > few.width + 2 * 20


def test_names_stand_at_rows_and_columns_and_make_room():
    short, long = (confusion([0, 1], [0, 1], [name, "b"]) for name in ("a", "a much longer name"))
    assert short.width == short.height and long.width == long.height > short.width + 60
    page = np.asarray(long)[:, :, 0] < 128
    start = long.width - RATES - GAP - 2 * CELL
    first, second = slice(start, start + CELL), slice(start + CELL, start + 2 * CELL)
    assert page[first, :start].sum() > 2 * page[second, :start].sum() > 0  # the first row's name
    assert page[:start, first].sum() > 2 * page[:start, second].sum() > 0  # turned, over its column


def test_many_classes_are_small_cells_without_numbers():
    labels = np.arange(100)
    picture = confusion(labels, labels, [f"class {i}" for i in labels])
    assert picture.width < 100 * SMALL + 100
    shown = cells(picture, 100, SMALL)
    for i in (0, 50, 99):
        assert np.all(shown[i, i, 1:-1, 1:-1] == RIGHT)
    assert np.all(shown[0, 99, 1:-1, 1:-1] == 255)


def test_precision_and_recall_stand_at_columns_and_rows():
    # Of class a 3 of 4 are found, and no b is taken for it; class c is neither there nor predicted.
    page = np.asarray(confusion([0, 0, 0, 0, 1], [0, 0, 0, 1, 1], ["a", "b", "c"]))[:, :, 0] < 128
    start, end = page.shape[0] - RATES - GAP - 3 * CELL, page.shape[0] - RATES - GAP
    for strip in (page[end + 4:], page[:, end + 4:].T):
        inks = [strip[:, start + i * CELL:start + (i + 1) * CELL].sum() for i in range(3)]
        assert inks[0] > 10 and inks[1] > 10 and inks[2] == 0
    assert page[end + 4:, :start].any() and page[:start, end + 4:].any()  # their names


def test_the_picture_carries_a_row_per_class():
    picture = confusion([0, 0, 0, 2, 2, 1], [0, 1, 1, 0, 2, 1], ["a", "b", "é"])
    assert json.loads(picture.info["confusion"]) == [
        {"class": "a", "examples": 3, "predicted": 2, "correct": 1, "taken_for": "b", "times": 2},
        {"class": "b", "examples": 1, "predicted": 3, "correct": 1},
        {"class": "é", "examples": 2, "predicted": 1, "correct": 1, "taken_for": "a", "times": 1}]


def table_of(folder, labels, predictions, classes):
    """The cells of the report's table of classes."""
    save(confusion(np.asarray(labels), np.asarray(predictions), classes), folder / "pictures" / "confusion-7.png")
    page = write_report(folder).read_text().partition("<h2>Classes</h2>")[2]
    rows = re.findall(r"<tr>(.*?)</tr>", page.partition("<h2>")[0])
    return page, [[unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in rows]


def test_a_report_has_precision_and_recall_of_each_class(tmp_path):
    _, rows = table_of(tmp_path, [0, 0, 0, 2, 2, 1], [0, 1, 1, 0, 2, 1], ["<a>", "b", "é", "none"])
    assert rows == [["class", "examples", "precision", "recall", "F1", "most often taken for"],
                    ["<a>", "3", "0.5000", "0.3333", "0.4000", "b (2)"], ["b", "1", "0.3333", "1.000", "0.5000", ""],
                    ["é", "2", "1.000", "0.5000", "0.6667", "<a> (1)"], ["none", "0", "–", "–", "–", ""]]
    assert "30 classes" in table_of(tmp_path, [0], [0], [f"class {i}" for i in range(30)])[0]


@pytest.mark.parametrize("spoil", [
    lambda data: data[:60], lambda data: b"", lambda data: data.replace(b"zTXt", b"zTXu"),
    lambda data: data.replace(b"confusion", b"confused!")])
def test_a_spoilt_picture_leaves_the_table_out(tmp_path, spoil):
    table_of(tmp_path, [0, 1], [0, 1], ["a", "b"])
    path = tmp_path / "pictures" / "confusion-7.png"
    path.write_bytes(spoil(path.read_bytes()))
    assert "<h2>Classes</h2>" not in write_report(tmp_path).read_text()


@pytest.mark.parametrize(("labels", "predictions", "message"), [
    ([], [], r"`labels` \(shape \[0\]\) must be of shape \[n\], at least one"),
    ([[0]], [[0]], r"`labels` \(shape \[1, 1\]\) must be of shape \[n\], at least one"),
    ([0, 1], [0], r"`predictions` \(shape \[1\]\) must be of the labels' shape \[2\]"),
    ([0, 1], [0.0, 1.0], r"`predictions` \(dtype float64\) must be integers"),
    ([0, 2], [0, 1], r"`labels` \(from 0 to 2\) must be within 0 to 1"),
    ([0, 1], [-1, 1], r"`predictions` \(from -1 to 1\) must be within 0 to 1")])
def test_what_is_no_pair_of_classes_is_refused(labels, predictions, message):
    with pytest.raises(Invalid, match=message):
        confusion(np.asarray(labels), np.asarray(predictions), ["a", "b"])
