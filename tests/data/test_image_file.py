"""One picture file: every way of storing colours gives the same uint8 picture; broken files give one line."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from engine.data.image_file import MAX_PIXELS, Form, decode
from engine.errors import Invalid
from tests.painted import cut, noise, save

PIXELS = noise(0)
SAME = Form(PIXELS.shape[:2])  # no resizing
QUAD = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]],
                 [[0, 0, 0], [255, 255, 255], [128, 128, 128]]], np.uint8).repeat(16, 0).repeat(16, 1)  # 32 x 48


def stored(path):
    """The file as Pillow sees it."""
    with Image.open(path) as image:
        image.load()
        return image


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.PNG"])
def test_lossless_colours_are_kept(tmp_path, name):
    found = decode(save(tmp_path / name, PIXELS), SAME)
    assert found.dtype == np.uint8 and found.flags.writeable
    np.testing.assert_array_equal(found, PIXELS)


def test_jpeg(tmp_path):
    found = decode(save(tmp_path / "a.jpg", QUAD, quality=100, subsampling=0), Form((32, 48)))
    assert abs(found.astype(int) - QUAD).max() <= 2


def test_the_content_counts_and_not_the_name(tmp_path):
    save(tmp_path / "a.png", PIXELS).rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(decode(tmp_path / "a.jpg", SAME), PIXELS)


def test_grey_in_three_channels_and_colour_in_one(tmp_path):
    grey = PIXELS[..., 0]
    np.testing.assert_array_equal(decode(save(tmp_path / "a.png", grey), SAME), np.stack([grey] * 3, -1))
    np.testing.assert_array_equal(decode(tmp_path / "a.png", Form((12, 10), 1)), grey[..., None])
    luma = decode(save(tmp_path / "b.png", PIXELS), Form((12, 10), 1))
    assert luma.shape == (12, 10, 1)
    assert abs(luma[..., 0] - PIXELS @ [0.299, 0.587, 0.114]).max() <= 0.51


def test_one_bit(tmp_path):
    Image.fromarray(np.array([[True, False], [False, True]])).save(tmp_path / "a.png")
    assert stored(tmp_path / "a.png").mode == "1"
    assert decode(tmp_path / "a.png", Form((2, 2), 1))[..., 0].tolist() == [[255, 0], [0, 255]]


def test_sixteen_bits_become_eight_by_rounding(tmp_path):
    # v / 257: 128 / 257 = 0.498, 129 / 257 = 0.502; 25828 / 257 = 100.498, 25829 / 257 = 100.502
    values = np.array([[0, 128, 129, 25828, 25829, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert decode(tmp_path / "a.png", Form((1, 6), 1)).ravel().tolist() == [0, 0, 1, 100, 101, 255]
    Image.fromarray(values).save(tmp_path / "b.png", transparency=129)
    assert decode(tmp_path / "b.png", Form((1, 6), 1)).ravel().tolist() == [0, 0, 255, 100, 101, 255]


def test_sixteen_bits_of_three_channels(tmp_path):
    rows = b"\0" + struct.pack(">6H", 0, 65535, 257 * 100, 257, 0, 0)
    (tmp_path / "a.png").write_bytes(png(2, 1, 16, 2, rows))
    assert decode(tmp_path / "a.png", Form((1, 2))).tolist() == [[[0, 255, 100], [1, 0, 0]]]


def test_transparent_parts_show_the_background(tmp_path):
    shades = np.zeros((1, 3, 4), np.uint8)
    shades[0, :, 3] = 0, 128, 255  # black, ever more opaque
    save(tmp_path / "a.png", shades)
    assert decode(tmp_path / "a.png", Form((1, 3), 1)).ravel().tolist() == [255, 127, 0]
    assert decode(tmp_path / "a.png", Form((1, 3), background=(10, 20, 30)))[0, 0].tolist() == [10, 20, 30]
    Image.fromarray(shades).convert("LA").save(tmp_path / "b.png")
    assert stored(tmp_path / "b.png").mode == "LA"
    assert decode(tmp_path / "b.png", Form((1, 3), 1)).ravel().tolist() == [255, 127, 0]


@pytest.mark.parametrize("clear", [1, b"\xff\x00\xff"])
@pytest.mark.parametrize("name", ["a.png", "a.gif"])
def test_palette_with_a_transparent_colour(tmp_path, clear, name):
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8)).convert("P")
    image.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200])
    image.save(tmp_path / name, transparency=1 if name == "a.gif" else clear)
    expected = [[[200, 0, 0], [1, 2, 3], [0, 0, 200]]]
    assert decode(tmp_path / name, Form((1, 3), background=(1, 2, 3))).tolist() == expected


def test_cmyk_jpeg(tmp_path):
    Image.fromarray(QUAD).convert("CMYK").save(tmp_path / "a.jpg", quality=100, subsampling=0)
    assert stored(tmp_path / "a.jpg").mode == "CMYK"
    assert abs(decode(tmp_path / "a.jpg", Form((32, 48))).astype(int) - QUAD).max() <= 3


def test_the_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ((200, 0, 0), (0, 200, 0), (0, 0, 200))]
    for name in ("a.gif", "a.png"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        with Image.open(tmp_path / name) as image:
            assert image.n_frames == 3
        assert (decode(tmp_path / name, Form((4, 4))) == [200, 0, 0]).all()


TURNS = {1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: a.swapaxes(0, 1),
         6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(a, 2).swapaxes(0, 1), 8: np.rot90}


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_exif_orientation(tmp_path, orientation, name):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100, "subsampling": 0} if name == "a.jpg" else {}
    save(tmp_path / name, QUAD, exif=exif, **options)
    expected = TURNS[orientation](QUAD)
    found = decode(tmp_path / name, Form(expected.shape[:2]))
    assert abs(found.astype(int) - expected).max() <= 2


def test_damaged_exif_data_do_not_matter(tmp_path):
    save(tmp_path / "a.jpg", QUAD, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\1\x12", quality=100, subsampling=0)
    with pytest.warns(UserWarning, match="Corrupt EXIF data"):
        assert abs(decode(tmp_path / "a.jpg", Form((32, 48))).astype(int) - QUAD).max() <= 2


def test_crop_fills_and_cuts_both_sides_alike(tmp_path):
    wide = np.zeros((4, 12, 3), np.uint8)
    wide[:, 4:8] = 255
    np.testing.assert_array_equal(decode(save(tmp_path / "a.png", wide), Form((4, 4))), np.full((4, 4, 3), 255))
    np.testing.assert_array_equal(decode(save(tmp_path / "b.png", wide.swapaxes(0, 1)), Form((4, 4))),
                                  np.full((4, 4, 3), 255))


def test_pad_fits_in_and_fills_both_sides_alike(tmp_path):
    save(tmp_path / "a.png", np.zeros((4, 12, 3), np.uint8))
    found = decode(tmp_path / "a.png", Form((12, 12), fit="pad", background=(9, 8, 7)))
    assert (found[4:8] == 0).all() and (found[:4] == [9, 8, 7]).all() and (found[8:] == [9, 8, 7]).all()
    grey = decode(tmp_path / "a.png", Form((3, 3), 1, fit="pad"))
    assert grey[..., 0].tolist() == [[255] * 3, [0] * 3, [255] * 3]


def test_shrinking_averages(tmp_path):
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    assert set(decode(save(tmp_path / "a.png", board), Form((8, 8), 1)).ravel()) <= {127, 128}


def test_a_large_jpeg_is_shrunk_as_a_png_is(tmp_path):
    rows, columns = np.indices((600, 800))
    smooth = np.stack([rows * 255 // 599, columns * 255 // 799, 128 + 100 * np.sin(rows / 40)], -1).astype(np.uint8)
    for fit in ("crop", "pad"):
        form = Form((40, 30), fit=fit)
        small = decode(save(tmp_path / "a.jpg", smooth, quality=98, subsampling=0), form).astype(int)
        assert abs(small - decode(save(tmp_path / "a.png", smooth), form)).max() <= 4


@pytest.mark.parametrize("fit", ["crop", "pad"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 2000), (2000, 1), (3, 700)])
def test_extreme_shapes(tmp_path, fit, shape):
    save(tmp_path / "a.png", np.zeros((*shape, 3), np.uint8))
    assert (decode(tmp_path / "a.png", Form((32, 48), fit=fit)) == 0).any()


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, bits, colours, rows):
    head = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 1))
            + chunk(b"IEND", b""))


def test_a_decompression_bomb_is_refused_by_its_header(tmp_path):
    (tmp_path / "bomb.png").write_bytes(png(20_000, 20_000, 1, 0, bytes(20_000 * 2_501)))
    with pytest.raises(Invalid, match=rf"^`picture` \(.*bomb.png\) must be of at most {MAX_PIXELS} pixels, "
                                      r"but has 20000 x 20000$"):
        decode(tmp_path / "bomb.png", SAME)


@pytest.mark.parametrize("name, place, size", [("a.gif", 6, "<HH"), ("a.bmp", 18, "<ii")])
def test_other_formats_that_claim_to_be_huge(tmp_path, name, place, size):
    content = bytearray(save(tmp_path / name, PIXELS).read_bytes())
    content[place:place + struct.calcsize(size)] = struct.pack(size, 12_000, 11_000)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Invalid, match=r"pixels, but has 12000 x 11000$"):
        decode(tmp_path / name, SAME)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.bmp"])
@pytest.mark.parametrize("fraction", [0.05, 0.5, 0.9])
def test_truncated_files(tmp_path, name, fraction):
    path = cut(save(tmp_path / name, noise(0, 64, 64)), fraction)
    with pytest.raises(Invalid, match=rf"^`picture` \(.*{name}\) must be readable and intact: [^\n]+$"):
        decode(path, SAME)


def test_a_png_with_damaged_pixels(tmp_path):
    path = save(tmp_path / "a.png", noise(0, 64, 64))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(Invalid, match=r"must be readable and intact: "):
        decode(path, SAME)


def test_files_of_other_kinds(tmp_path):
    rule = r"must be a JPEG, PNG, GIF, BMP, WebP or TIFF, but is "
    Image.fromarray(PIXELS).save(tmp_path / "tiff.png", format="TIFF")  # names lie
    np.testing.assert_array_equal(decode(tmp_path / "tiff.png", SAME), PIXELS)
    for name, content, kind in (("empty.png", b"", "empty"), ("text.png", b"not a picture at all", "something else"),
                                ("a.jpg", b"%PDF-1.7", "a PDF"),
                                ("a.png", b"\0\0\0\x18ftypheic", "an AVIF, HEIC or film")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Invalid, match=rf"^`picture` \(.*{name}\) {rule}{kind}$"):
            decode(tmp_path / name, SAME)
    (tmp_path / "sound.webp").write_bytes(b"RIFF\x24\0\0\0WAVEfmt ")
    with pytest.raises(Invalid, match=r"^`picture` \(.*sound.webp\) must be readable and intact: "):
        decode(tmp_path / "sound.webp", SAME)
    with pytest.raises(Invalid, match=r"^`picture` \(.*none.png\) must be readable and intact: No such file"):
        decode(tmp_path / "none.png", SAME)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.bmp"])
def test_random_damage_gives_a_picture_or_one_line(tmp_path, name):
    whole, random = save(tmp_path / name, PIXELS).read_bytes(), np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        damaged = bytearray(whole)
        for place in random.integers(0, len(whole), 3):
            damaged[place] = random.integers(256)
        (tmp_path / name).write_bytes(damaged)
        try:
            assert decode(tmp_path / name, SAME).shape == (12, 10, 3)
        except Invalid as fault:
            assert "\n" not in str(fault) and name in str(fault)
            refused += 1
    assert refused > 0


@pytest.mark.parametrize("options, text", [
    ({"size": (0, 4)}, r"`size` \(\(0, 4\)\) must be a height and a width of 1 to 16384 pixels"),
    ({"size": 4}, r"`size` \(4\) must be a height and a width"),
    ({"size": (4, 4), "channels": 4}, r"`channels` \(4\) must be 1 or 3"),
    ({"size": (4, 4), "fit": "squeeze"}, r"`fit` \(squeeze\) must be one of crop, pad"),
    ({"size": (4, 4), "background": (0, 0, 256)}, r"`background` \(\(0, 0, 256\)\) must be three integers of 0 to 255"),
])
def test_options(options, text):
    with pytest.raises(Invalid, match=f"^{text}"):
        Form(**options)
