"""The confusion of a classifier: which class it takes for which."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from engine.errors import require
from engine.reporting.pictures import INK, WHITE

RIGHT, WRONG = (30, 110, 170), (200, 80, 0)  # full shades: of the diagonal, and of all beside it
AXIS = 22  # pixels; height of an axis's title
GAP = 6  # pixels; between names and cells, and around the picture
NUMBERED = 24  # classes; of more, the cells are too small for numbers
SMALL = 11  # pixels; a cell without a number
RATES = 40  # pixels; the row of precisions and the column of recalls

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """How many examples of each class were taken for each class.

    Args:
      labels: Integers [n], the true classes.
      predictions: Integers [n], the predicted classes.
      classes: k, how many classes there are.

    Returns:
      int64 [k, k]; a row per true class, a column per predicted class.

    Raises:
      Invalid: Other shapes than [n], numbers that are not integers, or outside [0, k).
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    require(labels.ndim == 1 and labels.size, "labels", f"shape {list(labels.shape)}", "of shape [n], at least one")
    require(predictions.shape == labels.shape, "predictions", f"shape {list(predictions.shape)}",
            f"of the labels' shape {list(labels.shape)}")
    for name, numbers in (("labels", labels), ("predictions", predictions)):
        require(numbers.dtype.kind in "iu", name, f"dtype {numbers.dtype}", "integers")
        low, high = int(numbers.min()), int(numbers.max())
        require(low >= 0 and high < classes, name, f"from {low} to {high}", f"within 0 to {classes - 1}")
    flat = labels.astype(np.int64) * classes + predictions.astype(np.int64)
    return np.bincount(flat, minlength=classes * classes).reshape(classes, classes)


def confusion(labels: np.ndarray, predictions: np.ndarray, classes: Sequence[str]) -> Image.Image:
    """The confusion matrix as a picture: a row per true class, a column per predicted one, the count in each cell.

    A cell is the darker, the larger its fraction of its row: blue on the diagonal, orange beside it. Right of the rows
    stands the recall of each class, below the columns the precision. A count of 0 is left out, and of more than 24
    classes all numbers.

    Args:
      labels: Integers [n], the true classes.
      predictions: Integers [n], the predicted classes.
      classes: k names.

    Returns:
      An RGB image (uint8 [h, w, 3] as an array). Its ``info["confusion"]`` is JSON: ``per_class``.

    Raises:
      Invalid: The same as ``confusion_matrix``.
    """
    counts = confusion_matrix(labels, predictions, len(classes))
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    numbered = len(classes) <= NUMBERED
    font = ImageFont.load_default(size=12 if numbered else 9)
    cell = int(max(28, font.getlength(str(counts.max())) + 10)) if numbered else SMALL
    names = [_text(" ".join(name.split()), font) for name in classes]
    margin = AXIS + max(name.width for name in [*names, _text("precision", font)]) + 2 * GAP
    end = margin + len(classes) * cell
    side = end + GAP + (RATES if numbered else 0)
    page = Image.new("RGB", (side, side), WHITE)
    for row, column in np.ndindex(*counts.shape):
        corner = margin + column * cell, margin + row * cell
        _cell(page, corner, cell, fractions[row, column], row == column,
              str(counts[row, column]) if numbered and counts[row, column] else "", font)
    for i, name in enumerate(names):
        middle = margin + i * cell + cell // 2
        page.paste(name, (margin - GAP - name.width, middle - name.height // 2))
        page.paste(name.rotate(90, expand=True), (middle - name.height // 2, margin - GAP - name.width))
    for title, turn in (("predicted", 0), ("true", 90)):
        text = _text(title, ImageFont.load_default(size=13)).rotate(turn, expand=True)
        middle = margin + len(classes) * cell // 2
        page.paste(text, (GAP, middle - text.height // 2) if turn else (middle - text.width // 2, GAP))
    if numbered:
        _rates(page, counts, margin, cell, font)
    page.info["confusion"] = json.dumps(per_class(counts, classes))
    return page


def per_class(counts: np.ndarray, classes: Sequence[str]) -> list[dict[str, Any]]:
    """A row per class: its examples, how often it is predicted, how often correctly, and what it is taken for most.

    Args:
      counts: Result of ``confusion_matrix``.
      classes: k names.

    Returns:
      k times {"class", "examples", "predicted", "correct", "taken_for", "times"}; of a class without mistakes, no
      ``taken_for``.
    """
    wrong = counts - np.diag(np.diag(counts))
    rows = []
    for i, name in enumerate(classes):
        most = int(wrong[i].argmax())
        row = {"class": name, "examples": int(counts[i].sum()), "predicted": int(counts[:, i].sum()),
               "correct": int(counts[i, i])}
        rows.append({**row, "taken_for": classes[most], "times": int(wrong[i, most])} if wrong[i, most] else row)
    return rows


def _rates(page: Image.Image, counts: np.ndarray, margin: int, cell: int, font: Font) -> None:
    """Precision below the columns and recall right of the rows; none of 0 predictions or examples."""
    draw = ImageDraw.Draw(page)
    at = margin + len(counts) * cell + RATES // 2
    for i in range(len(counts)):
        middle = margin + i * cell + cell // 2
        for whole, place in ((counts[:, i].sum(), (middle, at)), (counts[i].sum(), (at, middle))):
            if whole:
                draw.text(place, f"{counts[i, i] / whole:.2f}", fill=INK, font=font, anchor="mm")
    precision, recall = _text("precision", font), _text("recall", font).rotate(90, expand=True)
    page.paste(precision, (margin - GAP - precision.width, at - precision.height // 2))
    page.paste(recall, (at - recall.width // 2, margin - GAP - recall.height))


def _cell(page: Image.Image, corner: tuple[int, int], size: int, fraction: float, right: bool, count: str,
          font: Font) -> None:
    """One cell, shaded by its fraction, with its count in the middle."""
    full = np.asarray(RIGHT if right else WRONG)
    shade = tuple(int(value) for value in np.rint(np.asarray(WHITE) * (1 - fraction) + full * fraction))
    x, y = corner
    draw = ImageDraw.Draw(page)
    draw.rectangle((x, y, x + size - 2, y + size - 2), fill=shade, outline=(225, 225, 225))
    if count:
        draw.text((x + size / 2 - 0.5, y + size / 2 - 0.5), count, fill=WHITE if fraction > 0.5 else INK, font=font,
                  anchor="mm")


def _text(text: str, font: Font) -> Image.Image:
    """A line of text on white, cut out."""
    left, top, right, bottom = font.getbbox(text or " ")
    image = Image.new("RGB", (int(right - left) + 1, int(bottom - top) + 1), WHITE)
    ImageDraw.Draw(image).text((-left, -top), text, fill=INK, font=font)
    return image
