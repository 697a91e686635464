"""A folder of picture files as a data set: flat, with one folder per class, or split into parts that hold these."""

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from engine.data.file_source import FileSource, Reads
from engine.data.folds import holdout, k_folds
from engine.data.image_file import Form
from engine.data.image_listing import Listing, scan
from engine.data.kept_pictures import KeptPictures, has_room
from engine.data.picture_cache import CachedPictures
from engine.data.picture_files import PictureFiles, report, survey
from engine.data.source import ArraySource, Source, Transform, unchanged
from engine.errors import require

HELD_OUT = 0.2  # fraction to evaluate on of a folder that is not split


@dataclass(frozen=True)
class ImageFolder:
    """Labelled pictures in files, parted in two, or in three where the folder has a validation part, too.

    Attributes:
      classes: Names of the labels 0, 1, ...
      parts: {"train": numbers, "test": numbers} and perhaps "validation": positions in ``files``, ascending; bad files
        are in none.
      skipped: One line for each bad file.
      left_out: How many files are no pictures, by their endings.
      place: Folder where they lie.
    """

    form: Form
    files: list[Path]
    labels: np.ndarray  # int32, one for each of ``files``
    classes: tuple[str, ...]
    parts: dict[str, np.ndarray]
    skipped: list[str]
    left_out: Counter[str]
    pictures: Reads = field(repr=False)
    name: str = "image-folder"
    place: str = ""

    def source(self, part: str, batch_size: int, seed: int = 0, transform: Transform = unchanged,
               names: tuple[str, ...] | None = None) -> Source:
        """Batches {"image": uint8 [B, h, w, c], "label": int32 [B]} of one of the ``parts``.

        ``names`` is there for the likeness with ``Dataset.source``; both are always given.
        """
        numbers = self._numbers(part)
        batch_size = batch_size if part == "train" else min(batch_size, max(len(numbers), 1))
        if isinstance(self.pictures, KeptPictures):
            kept = {"image": self.pictures.array, "label": self.labels}
            return ArraySource(kept, batch_size, seed, transform, numbers)
        return FileSource(self.pictures, self.form.shape, numbers, self.labels[numbers], batch_size, seed, transform)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """h, w, c of a picture."""
        return self.form.shape

    def size(self, part: str) -> int:
        """Examples of the part ``train`` or ``test``."""
        return len(self._numbers(part))

    def arrays(self, part: str) -> dict[str, np.ndarray]:
        """The whole part in memory: "image": uint8 [N, h, w, c], "label": int32 [N]."""
        numbers = self._numbers(part)
        return {"image": self.pictures.read(numbers), "label": self.labels[numbers]}

    def fold(self, number: int, count: int, seed: int) -> "ImageFolder":
        """The same set with fold ``number``, from 1, of ``count`` of the part to train on in place of the test part."""
        numbers = self.parts["train"]
        parts = zip(("train", "test"), k_folds(self.labels[numbers], count, seed)[number - 1], strict=True)
        return replace(self, parts={name: numbers[positions] for name, positions in parts})

    def _numbers(self, part: str) -> np.ndarray:
        require(part in self.parts, "part", part, f"one of {', '.join(self.parts)}")
        return self.parts[part]


def image_folder(path: str | Path, size: tuple[int, int], channels: int = 3, fit: str = "crop", strict: bool = False,
                 validation: float | None = None, seed: int = 0, cache: str | Path | None = None, in_memory: bool = True
                 ) -> ImageFolder:
    """The pictures of a folder, each brought to one size.

    Every file is read once at the start, unless there is a cache; a bad one is named on standard error and skipped.
    Without a cache up to a gibibyte of pictures stays in memory; more are read from their files again and again.

    Args:
      path: A folder of pictures, or of a folder per class, or with the parts train and test that hold these.
      size, channels, fit: Fields of a ``Form``.
      strict: Whether the first bad file ends it.
      validation: Fraction that is held out of what is trained on as the part ``test``, of each class alike, in [0, 1).
        Left out: none where the folder is split, else 0.2.
      seed: Seed of that choice.
      cache: A file for the decoded pictures, made anew when a picture, or the size, has changed.
      in_memory: Whether the pictures may stay in memory.

    Raises:
      Invalid: One line, for an option out of range, a folder without pictures, or more than 1 % bad files.
    """
    form = Form(size, channels, fit)
    pictures: PictureFiles | CachedPictures | KeptPictures
    require(validation is None or 0 <= validation < 1, "validation", validation, "at least 0 and below 1")
    listing = scan(path)
    files = PictureFiles(listing.files, form)
    if cache is not None:
        pictures = CachedPictures(files, cache, strict)
    else:
        pictures = KeptPictures(files, strict) if in_memory and has_room(files) else files
    bad = survey(files, strict) if isinstance(pictures, PictureFiles) else pictures.bad
    report(bad)
    good = np.setdiff1d(np.arange(len(files)), list(bad))
    for label, name in enumerate(listing.classes):
        require(label in listing.labels[np.intersect1d(listing.parts.get("train", good), good)], "path",
                Path(path, name), "a class with at least one good picture")
    return ImageFolder(form, listing.files, listing.labels, listing.classes, _parts(listing, good, validation, seed),
                       [bad[number] for number in sorted(bad)], listing.left_out, pictures, place=str(path))


def _parts(listing: Listing, good: np.ndarray, validation: float | None, seed: int) -> dict[str, np.ndarray]:
    """The good pictures by part: as the folder is split, or as ``validation`` says."""
    split = {name: np.intersect1d(numbers, good) for name, numbers in listing.parts.items()}
    if split and not validation:
        return split if "test" in split else {"train": split["train"], "test": split["validation"]}
    fraction, train = HELD_OUT if validation is None else validation, split.get("train", good)
    if not fraction:
        return {"train": train, "test": train[:0]}
    return {name: train[positions] for name, positions
            in zip(("train", "test"), holdout(listing.labels[train], fraction, seed), strict=True)}


def load(data_dir: str | Path | None = None, *, size: int = 64, channels: int = 3, fit: str = "crop",
         strict: bool = False, validation: float | None = None, seed: int = 0, cache: str | Path | None = None
         ) -> ImageFolder:
    """The folder ``data_dir``, its pictures brought to ``size`` x ``size``. Options and errors: ``image_folder``."""
    require(data_dir is not None, "data_dir", data_dir, "a folder of pictures, flat or with one folder per class")
    return image_folder(str(data_dir), (size, size), channels, fit, strict, validation, seed, cache)
