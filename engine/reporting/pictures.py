"""Pictures: batches of images as one readable grid."""

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from engine.errors import require
from engine.reporting.files import write_whole

CELL = 56  # pixels; the least side of a picture by default, so that 28x28 is readable
LARGEST = 512  # pixels; the most that scaling up by default makes of a side
CAPTION = 15  # pixels; height of a caption's line
TOLERANCE = 1e-3  # rounding in half precision may leave [0, 1] by so much
WHITE, INK = (255, 255, 255), (40, 40, 40)


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Images in [0, 1] as bytes.

    Args:
      images: [n, h, w, c], c 1 or 3, numbers in [0, 1]; uint8 is taken as done already.

    Returns:
      uint8 [n, h, w, c].

    Raises:
      Invalid: Another shape, or values that are not finite or outside [0, 1].
    """
    images = np.asarray(images)
    require(images.ndim == 4 and images.shape[-1] in (1, 3), "images", f"shape {list(images.shape)}",
            "of shape [n, h, w, c], c 1 or 3")
    require(images.size, "images", f"shape {list(images.shape)}", "at least one picture")
    if images.dtype == np.uint8:
        return images
    images = images.astype(np.float64)
    bad = np.sum(~np.isfinite(images))
    require(bad == 0, "images", f"{bad} of {images.size} values not finite", "finite")
    low, high = images.min(), images.max()
    require(low >= -TOLERANCE and high <= 1 + TOLERANCE, "images", f"values from {low:.4g} to {high:.4g}",
            "within [0, 1]")
    return np.rint(255 * images.clip(0, 1)).astype(np.uint8)


def grid(images: np.ndarray, columns: int | None = None, captions: Sequence[str | None] | None = None,
         scale: int | None = None, padding: int = 2) -> Image.Image:
    """One picture of all images, row by row, on white.

    Args:
      images: [n, h, w, c], c 1 or 3, uint8 or numbers in [0, 1].
      columns: Images per row; near square by default.
      captions: A text (or None) per image, drawn under it, shortened to fit.
      scale: Whole factor of the size; by default what makes an image at least 56 pixels.
      padding: Pixels around each image.

    Returns:
      An RGB image.

    Raises:
      Invalid: Images as in ``to_uint8``, or another number of captions.
    """
    pixels = to_uint8(images)
    count, height, width, _ = pixels.shape
    columns = math.ceil(math.sqrt(count)) if columns is None else columns
    scale = default_scale(height, width) if scale is None else scale
    require(columns >= 1, "columns", columns, "at least 1")
    require(scale >= 1, "scale", scale, "at least 1")
    require(captions is None or len(captions) == count, "captions", f"{len(captions or ())} texts",
            f"one for each of the {count} images")
    down = height * scale + padding + (CAPTION if captions else 0)
    right = width * scale + padding
    page = Image.new("RGB", (columns * right + padding, math.ceil(count / columns) * down + padding), WHITE)
    for i, image in enumerate(pixels):
        x, y = padding + i % columns * right, padding + i // columns * down
        big = np.broadcast_to(image, (height, width, 3)).repeat(scale, 0).repeat(scale, 1)
        page.paste(Image.fromarray(np.ascontiguousarray(big)), (x, y))
        if captions and captions[i]:
            _caption(page, str(captions[i]), (x, y + height * scale), width * scale)
    return page


def default_scale(height: int, width: int) -> int:
    """The factor that makes the lesser side at least 56 pixels and the larger at most 512; at least 1."""
    return max(1, min(math.ceil(CELL / min(height, width)), LARGEST // max(height, width)))


def beside(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Pairs next to one another: left 0, right 0, left 1, … for ``grid`` with an even number of columns.

    Args:
      left: [n, h, w, c], such as originals.
      right: The same shape, such as their reconstructions.

    Returns:
      uint8 [2n, h, w, c].

    Raises:
      Invalid: Shapes that differ, and as in ``to_uint8``.
    """
    left, right = to_uint8(left), to_uint8(right)
    require(left.shape == right.shape, "right", f"shape {list(right.shape)}",
            f"of left's shape {list(left.shape)}")
    return np.stack([left, right], axis=1).reshape(-1, *left.shape[1:])


def titled(image: Image.Image, text: str) -> Image.Image:
    """``image`` with a line of text above it."""
    page = Image.new("RGB", (image.width, image.height + CAPTION), WHITE)
    page.paste(image, (0, CAPTION))
    _caption(page, text, (0, 0), image.width)
    return page


def mistakes(images: np.ndarray, labels: np.ndarray, logits: np.ndarray, classes: Sequence[str],
             count: int = 32) -> Image.Image | None:
    """The examples that a classifier takes for another class, the most surely mistaken first.

    Args:
      images: [n, h, w, c], as in ``grid``.
      labels: Integers [n].
      logits: [n, k].
      classes: k names.
      count: How many to show at most.

    Returns:
      A grid; under each image the guess and the truth, "Coat, is Shirt". None if there is no mistake.
    """
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels).reshape(-1)
    guesses = logits.argmax(axis=1)
    loss = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(labels)), labels]
    wrong = np.flatnonzero(guesses != labels)
    worst = wrong[np.argsort(-loss[wrong], kind="stable")][:count]
    if not worst.size:
        return None
    captions = [f"{classes[guesses[i]]}, is {classes[labels[i]]}" for i in worst]
    chosen = np.asarray(images)[worst]
    return grid(chosen, columns=8, captions=captions, scale=2 * default_scale(*chosen.shape[1:3]), padding=4)


def save(image: Image.Image, path: Path | str, parents: bool = True) -> None:
    """Write a PNG, whole or not at all, with the texts of its ``info``; with ``parents`` a missing folder is made."""
    data, texts = io.BytesIO(), PngInfo()
    for name, text in image.info.items():
        if isinstance(text, str):
            texts.add_text(str(name), text, zip=True)
    image.save(data, format="PNG", pnginfo=texts)
    write_whole(Path(path), data.getvalue(), parents)


def _caption(page: Image.Image, text: str, corner: tuple[int, int], width: int) -> None:
    """Draw ``text`` in the middle under an image, cut to its width."""
    font = ImageFont.load_default(size=11)
    text = whole = " ".join(text.split())
    while text and font.getlength(text) > width:
        whole = whole[:-1]
        text = whole.rstrip() + "…" if whole else ""
    x = corner[0] + (width - font.getlength(text)) / 2
    ImageDraw.Draw(page).text((x, corner[1]), text, fill=INK, font=font)
