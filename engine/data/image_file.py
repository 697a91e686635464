"""One picture file to numbers: JPEG, PNG, GIF, WebP, TIFF (the first frame of each) and BMP, however it is stored."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from engine.errors import Invalid, require

SUFFIXES = (".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
FITS = ("crop", "pad")
MAX_PIXELS = 2**30 // 12  # as Pillow's: a quarter of a gibibyte in RGB; 9 459 x 9 459
READERS: dict[bytes, type[ImageFile.ImageFile]] = {  # by a file's first bytes, since names lie
    b"\xff\xd8\xff": JpegImagePlugin.JpegImageFile,
    b"\x89PNG\r\n\x1a\n": PngImagePlugin.PngImageFile,
    b"GIF87a": GifImagePlugin.GifImageFile,
    b"GIF89a": GifImagePlugin.GifImageFile,
    b"BM": BmpImagePlugin.BmpImageFile,
    b"II*\0": TiffImagePlugin.TiffImageFile,
    b"MM\0*": TiffImagePlugin.TiffImageFile,
    b"RIFF": WebPImagePlugin.WebPImageFile,
}
FOREIGN = {b"%PDF": "a PDF", b"<svg": "an SVG", b"<?xml": "an SVG or another XML", b"\0\0\0": "an AVIF, HEIC or film"}
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY  # 64 MiB: profiles of some MiB are no damage


@dataclass(frozen=True)
class Form:
    """What every picture is brought to.

    Raises:
      Invalid: A size, number of channels, fit or background out of range.
    """

    size: tuple[int, int]  # height and width, pixels
    channels: int = 3  # 1 (grey: luma of ITU-R BT.601) or 3 (red, green, blue)
    fit: str = "crop"  # fill the size and cut what stands out on both sides; or "pad": fit in, and fill the rest
    background: tuple[int, int, int] = (255, 255, 255)  # under transparent parts and around padded pictures; RGB

    def __post_init__(self) -> None:
        require(_integers(self.size, 2, 1, 2**14), "size", self.size, "a height and a width of 1 to 16384 pixels")
        require(self.channels in (1, 3), "channels", self.channels, "1 or 3")
        require(self.fit in FITS, "fit", self.fit, "one of crop, pad")
        require(_integers(self.background, 3, 0, 255), "background", self.background, "three integers of 0 to 255")

    @property
    def shape(self) -> tuple[int, int, int]:
        """[h, w, c] of a picture."""
        return (*self.size, self.channels)


def decode(path: str | Path, form: Form) -> np.ndarray:
    """The picture in a file, uint8 [h, w, c] of ``form``.

    It is turned as its EXIF orientation says, laid on the background where it is transparent, and resized by a
    bilinear filter that averages (antialiasing). 16 bits per channel become 8; CMYK and palettes become RGB; colour
    profiles are not applied. A JPEG of more than twice the size is decoded at a half, quarter or eighth of its own.

    Raises:
      Invalid: One line with the path and the reason, for a file that cannot be read, is of another format, is too
        large (told from its header), cut short or damaged.
    """
    return in_form(_load(path, 2 * max(form.size)), form)


def in_form(image: Image.Image, form: Form) -> np.ndarray:
    """A picture as ``decode`` gives it, uint8 [h, w, c] of ``form``."""
    mode = "RGB" if form.channels == 3 else "L"
    image = _opaque(image, form.background)
    image = image if image.mode == mode else image.convert(mode)  # it copies one that has the mode
    fitted = _crop(image, form) if form.fit == "crop" else _pad(image, form)
    return np.array(fitted, np.uint8).reshape(form.shape)


def _load(path: str | Path, least: int) -> Image.Image:
    """The stored picture, upright; a JPEG may be smaller than stored, but has ``least`` pixels a side."""
    try:
        with open(path, "rb") as file:
            reader = _reader(path, file.read(16))
            file.seek(0)
            image = reader(file)
            width, height = image.size
            require(width * height <= MAX_PIXELS, "picture", path,
                    f"of at most {MAX_PIXELS} pixels, but has {width} x {height}")
            image.draft(None, (least, least))
            image.load()
    except Invalid:
        raise
    except OSError as fault:
        raise Invalid(f"`picture` ({path}) must be readable and intact: {fault.strerror or fault}") from None
    except Exception as fault:  # what Pillow raises for damaged files is of many types
        reason = " ".join(str(fault).split()) or type(fault).__name__
        raise Invalid(f"`picture` ({path}) must be readable and intact: {reason}") from None
    with contextlib.suppress(Exception):  # damaged EXIF data say nothing about the picture
        ImageOps.exif_transpose(image, in_place=True)
    return image


def _reader(path: str | Path, start: bytes) -> type[ImageFile.ImageFile]:
    for signature, reader in READERS.items():
        if start.startswith(signature):
            return reader
    found = next((name for signature, name in FOREIGN.items() if start.startswith(signature)), "something else")
    found = found if start else "empty"
    raise Invalid(f"`picture` ({path}) must be a JPEG, PNG, GIF, BMP, WebP or TIFF, but is {found}")


def _opaque(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    """8 bits per channel, no transparency."""
    if image.mode.startswith("I"):  # 16 bits
        image = _eight_bits(image)
    if not image.has_transparency_data:
        return image
    canvas = Image.new("RGBA", image.size, (*background, 255))
    return Image.alpha_composite(canvas, image.convert("RGBA")).convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey values 0..65535 to 0..255, rounded; one of them may stand for transparent."""
    values = np.asarray(image).astype(np.int32)
    grey = Image.fromarray(((values + 128) // 257).astype(np.uint8))  # 257 = 65535 / 255
    if "transparency" in image.info:
        grey.putalpha(Image.fromarray(np.where(values == image.info["transparency"], 0, 255).astype(np.uint8)))
    return grey


def _crop(image: Image.Image, form: Form) -> Image.Image:
    height, width = form.size
    scale = min(image.width / width, image.height / height)  # stored pixels per pixel
    left, top = max(0.0, image.width - scale * width) / 2, max(0.0, image.height - scale * height) / 2
    box = (left, top, image.width - left, image.height - top)
    return image.resize((width, height), Image.Resampling.BILINEAR, box)


def _pad(image: Image.Image, form: Form) -> Image.Image:
    height, width = form.size
    scale = min(width / image.width, height / image.height)
    sides = max(1, round(scale * image.width)), max(1, round(scale * image.height))
    canvas = Image.new("RGB", (width, height), form.background).convert(image.mode)
    canvas.paste(image.resize(sides, Image.Resampling.BILINEAR), ((width - sides[0]) // 2, (height - sides[1]) // 2))
    return canvas


def _integers(values: object, count: int, low: int, high: int) -> bool:
    return (isinstance(values, tuple) and len(values) == count
            and all(isinstance(value, int) and low <= value <= high for value in values))
