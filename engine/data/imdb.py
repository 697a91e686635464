"""Keras's imdb.npz: 50 000 film reviews as numbers of words, half of them for the test.

A. Maas et al., "Learning Word Vectors for Sentiment Analysis", ACL 2011. Word 1 is the most frequent; the words
themselves are in imdb_word_index.json, {word: number}. (``keras.datasets.imdb.load_data`` adds 3 to the numbers
and puts a 1 before each review; a file of its results is recognised by that.)
"""

import json
import zipfile
import zlib
from pathlib import Path

import numpy as np

from engine.data import places, tokeniser, unpickle, utf8
from engine.data.text import Corpus, Part
from engine.errors import Invalid, require

CLASSES = ("negative", "positive")
MEMBERS = ("x_train", "y_train", "x_test", "y_test")
WORDS = "imdb_word_index.json"
START, MOVED = 1, 3  # of load_data: the number before each review, and how far it moves the words'
LARGEST = 1 << 30  # bytes that a member may unpack to; the genuine ones have 30 million


def find(data_dir: str | Path | None = None) -> Path:
    """The path of imdb.npz: in ``data_dir``, else in Keras's cache (KERAS_HOME is honoured).

    Raises:
      Invalid: If it is not there.
    """
    path = (places.folder(data_dir) or places.keras()) / "imdb.npz"
    require(path.is_file(), "data_dir", path.parent, "a folder with Keras's imdb.npz")
    return path


def imdb_npz(path: str | Path) -> Corpus:
    """The reviews in Keras's file, as texts of their words, with the published test part.

    The words are those of imdb_word_index.json beside it; a number that is not there is an unknown word. Without
    that file a word is ``word`` and its number: enough to train, but such a net cannot read new texts.

    Raises:
      Invalid: One line, for files that are missing, damaged, hostile (nothing in them is run) or not of this form.
    """
    path = Path(path)
    arrays = dict(zip(MEMBERS, _members(path), strict=True))
    shown = _words(path.parent / WORDS)
    reviews = {part: _reviews(arrays[f"x_{part}"], path) for part in ("train", "test")}
    if all(review[:1] == [START] for part in reviews.values() for review in part):
        reviews = {part: [[number - MOVED for number in review[1:]] for review in each]
                   for part, each in reviews.items()}
    train, test = (Part([_text(review, shown) for review in reviews[part]],
                        _labels(arrays[f"y_{part}"], len(reviews[part]), path)) for part in ("train", "test"))
    return Corpus("imdb", train, test, CLASSES)


def _members(path: Path) -> list[np.ndarray | list]:
    try:
        with zipfile.ZipFile(path) as archive:
            missing = [name for name in MEMBERS if f"{name}.npy" not in archive.namelist()]
            require(not missing, "file", path, f"of the arrays {', '.join(MEMBERS)}; lacks {', '.join(missing)}")
            return [_member(archive, f"{name}.npy", path) for name in MEMBERS]
    except Invalid:
        raise
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, ValueError) as fault:
        reason = getattr(fault, "strerror", None) or " ".join(str(fault).split())
        raise Invalid(f"`file` ({path}) must be a readable, intact .npz file: {reason}") from None


def _member(archive: zipfile.ZipFile, name: str, path: Path) -> np.ndarray | list:
    size = archive.getinfo(name).file_size
    require(size <= LARGEST, "file", path, f"of arrays of at most {LARGEST} bytes, but {name} has {size}")
    with archive.open(name) as stream:
        version = np.lib.format.read_magic(stream)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(stream)
        data = stream.read()
    require(len(shape) == 1, "file", path, f"of arrays [N], but {name} has the shape {shape}")
    values = unpickle.loads(data, path) if dtype.hasobject else np.frombuffer(data, dtype)
    require(isinstance(values, list | np.ndarray) and len(values) == shape[0], "file", path,
            f"of as many values as declared, {shape[0]} in {name}")
    return values


def _reviews(values: np.ndarray | list, path: Path) -> list[list[int]]:
    right = isinstance(values, list) and all(type(review) is list and review for review in values)
    require(right and values, "file", path, "of reviews that are lists of numbers")
    reviews = list(values)
    numbers = {type(number) for review in reviews for number in review}
    require(numbers == {int}, "file", path, "of reviews of whole numbers alone")
    require(min(map(min, reviews)) >= 0, "file", path, "of reviews of numbers from 0 up")
    return reviews


def _labels(values: np.ndarray | list, count: int, path: Path) -> np.ndarray:
    labels = np.asarray(values)
    right = labels.dtype.kind in "iu" and labels.shape == (count,) and set(labels.tolist()) == {0, 1}
    require(right, "file", path, f"of one label, 0 or 1, for each of the {count} reviews of a part, and of both")
    return labels.astype(np.int32)


def _text(review: list[int], shown: dict[int, str] | None) -> str:
    if shown is None:
        return " ".join(f"word{number}" if number > 0 else tokeniser.UNKNOWN for number in review)
    return " ".join(shown.get(number, tokeniser.UNKNOWN) for number in review)


def _words(path: Path) -> dict[int, str] | None:
    """{number: word}, or None without the file."""
    if not path.exists():
        return None
    try:
        words = json.loads(utf8.read(path))
    except (json.JSONDecodeError, RecursionError) as fault:
        raise Invalid(f"`file` ({path}) must be JSON: {fault}") from None
    right = isinstance(words, dict) and words and all(type(number) is int for number in words.values())
    require(right, "file", path, "of words and their numbers, {word: number}")
    return {number: word for word, number in words.items()}
