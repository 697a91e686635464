"""Grids: where each pixel goes, captions, faults."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.errors import Invalid
from engine.reporting.pictures import CAPTION, beside, default_scale, grid, mistakes, save, to_uint8


def shades(*values: float, size: int = 2) -> np.ndarray:
    return np.broadcast_to(np.asarray(values, float)[:, None, None, None], (len(values), size, size, 1))


def test_to_uint8_rounds_and_allows_rounding_errors() -> None:
    assert to_uint8(shades(0, 1, 0.5, 0.1, -0.0009, 1.0009))[:, 0, 0, 0].tolist() == [0, 255, 128, 26, 0, 255]
    done = np.full((1, 2, 2, 3), 200, np.uint8)
    assert to_uint8(done) is done
    assert to_uint8(shades(0.5).astype(np.float16)).dtype == np.uint8


@pytest.mark.parametrize(("images", "message"), [
    (shades(0, 1.002), r"`images` \(values from 0 to 1.002\) must be within \[0, 1\]"),
    (shades(-0.5, 1), r"`images` \(values from -0.5 to 1\) must be within \[0, 1\]"),
    (shades(np.nan, 1), r"`images` \(4 of 8 values not finite\) must be finite"),
    (np.zeros((2, 4, 4)), r"`images` \(shape \[2, 4, 4\]\) must be of shape \[n, h, w, c\], c 1 or 3"),
    (np.zeros((2, 4, 4, 2)), r"must be of shape \[n, h, w, c\]"),
    (np.zeros((0, 4, 4, 1)), r"must be at least one picture")])
def test_images_that_are_none_are_refused(images: np.ndarray, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        to_uint8(images)


def test_a_grid_lays_images_row_by_row_on_white() -> None:
    page = np.asarray(grid(shades(0, 0.2, 0.4), columns=2, scale=3, padding=2))
    assert page.shape == (2 + 2 * (6 + 2), 2 + 2 * (6 + 2), 3)
    np.testing.assert_array_equal(page[2:8, 2:8], 0)
    np.testing.assert_array_equal(page[2:8, 10:16], 51)
    np.testing.assert_array_equal(page[10:16, 2:8], 102)
    np.testing.assert_array_equal(page[10:16, 8:], 255)
    np.testing.assert_array_equal(page[8:10], 255)


def test_scaling_repeats_pixels_and_keeps_colours() -> None:
    images = np.random.default_rng(0).integers(0, 256, (1, 3, 4, 3)).astype(np.uint8)
    page = np.asarray(grid(images, scale=5, padding=0))
    assert page.shape == (15, 20, 3)
    np.testing.assert_array_equal(page[2::5, 2::5], images[0])
    np.testing.assert_array_equal(page[0::5, 4::5], images[0])


@pytest.mark.parametrize(("count", "columns", "rows"), [(1, 1, 1), (2, 2, 1), (9, 3, 3), (10, 4, 3)])
def test_a_grid_is_near_square_by_default(count: int, columns: int, rows: int) -> None:
    assert grid(shades(*[0.5] * count), scale=1, padding=0).size == (2 * columns, 2 * rows)


@pytest.mark.parametrize(("height", "width", "scale"), [
    (28, 28, 2), (32, 32, 2), (8, 8, 7), (64, 64, 1), (10, 300, 1), (1, 1000, 1)])
def test_default_scale(height: int, width: int, scale: int) -> None:
    assert default_scale(height, width) == scale
    assert grid(np.zeros((1, height, width, 1)), padding=0).size == (width * scale, height * scale)


def test_captions_are_drawn_below_their_image_and_cut_to_its_width() -> None:
    images = shades(0.5, 0.5, 0.5, size=28)
    page = np.asarray(grid(images, columns=3, captions=["Bag", None, "a very long\ncaption " * 9], padding=2))
    assert page.shape == (2 + 56 + CAPTION + 2, 2 + 3 * 58, 3)
    np.testing.assert_array_equal(page[2:58, 2:58], 128)
    below = page[58:, :, 0] < 128
    assert below[:, 2:58].any() and not below[:, 60:116].any() and below[:, 118:174].any()
    assert not below[:, 174:].any() and not below[:, 116:118].any()


@pytest.mark.parametrize(("options", "message"), [
    ({"captions": ["a"]}, r"`captions` \(1 texts\) must be one for each of the 2 images"),
    ({"columns": 0}, r"`columns` \(0\) must be at least 1"),
    ({"scale": 0}, r"`scale` \(0\) must be at least 1")])
def test_wrong_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        grid(shades(0, 1), **options)


def test_beside_puts_pairs_next_to_one_another() -> None:
    pairs = beside(shades(0, 0.2), np.full((2, 2, 2, 1), 255, np.uint8))
    assert pairs.dtype == np.uint8 and pairs[:, 0, 0, 0].tolist() == [0, 255, 51, 255]
    message = r"`right` \(shape \[1, 2, 2, 1\]\) must be of left's shape \[2, 2, 2, 1\]"
    with pytest.raises(Invalid, match=message):
        beside(shades(0, 1), shades(0))


def test_mistakes_are_shown_alone_the_worst_first() -> None:
    images = np.asarray([10, 20, 30, 40], np.uint8)[:, None, None, None] * np.ones((4, 28, 28, 1), np.uint8)
    logits = [[9, 0], [0, 1], [0, 5], [2, 0]]  # loss 0.00, 1.31, 5.01 and 0.13 nats
    page = np.asarray(mistakes(images, np.zeros(4, np.int64), np.asarray(logits), ["Bag", "Coat"], count=3))
    assert page.shape[1] == 4 + 8 * (112 + 4)
    assert [int(page[20, 4 + 116 * i + 56, 0]) for i in range(3)] == [30, 20, 255]  # 10 and 40 are no mistakes
    assert mistakes(images[:1], np.zeros(1, np.int64), np.asarray(logits[:1]), ["Bag", "Coat"]) is None


def test_save_writes_a_whole_png_into_a_new_folder(tmp_path: Path) -> None:
    image = grid(shades(0, 1))
    save(image, tmp_path / "pictures" / "samples-10.png")
    save(image, tmp_path / "pictures" / "samples-10.png")
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["samples-10.png"]
    with Image.open(tmp_path / "pictures" / "samples-10.png") as found:
        assert found.format == "PNG"
        np.testing.assert_array_equal(np.asarray(found), np.asarray(image))


def test_a_picture_keeps_its_texts(tmp_path: Path) -> None:
    image = grid(shades(0, 1))
    image.info |= {"what": "é, Ω and more", "dpi": (72, 72)}
    save(image, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as found:
        assert found.info["what"] == "é, Ω and more"


def test_a_failed_save_leaves_the_old_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(grid(shades(0)), tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()

    def fails(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("engine.reporting.files.os.fsync", fails)
    with pytest.raises(OSError, match="disk full"):
        save(grid(shades(1)), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == before
