"""Labelled pictures and texts of TensorFlow Datasets (tfds:NAME) and of Hugging Face (hf:NAME).

Their libraries are extras: ``pip install phaseloop[tfds]``, ``pip install phaseloop[hf]``. What is read is held in
memory.
"""

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from PIL import Image

from engine.data.dataset import Dataset
from engine.data.folds import holdout
from engine.data.image_file import Form, in_form
from engine.data.parts import KINDS
from engine.data.text import Corpus, Part, numbered
from engine.data.text_dataset import text_dataset
from engine.data.vocabulary import Vocabulary
from engine.errors import Invalid, require

HUBS = {"tfds": "tensorflow_datasets", "hf": "datasets"}  # prefix of a name: library
HELD_OUT = 0.2  # fraction, of a set without a test part
ROOM = 2**32  # bytes of pictures
Made = TypeVar("Made")


class Hub(NamedTuple):
    """A set as its library gives it.

    Attributes:
      splits: {name: (picture or text, label) of each example}.
      sizes: {name: number of examples}.
      classes: Names of the labels 0, 1, ...; None where labels are names or numbers themselves.
      place: Where it lies.
    """

    splits: Mapping[str, Iterable[tuple[Any, Any]]]
    sizes: Mapping[str, int]
    classes: tuple[str, ...] | None
    place: str


def is_hub(name: str) -> bool:
    """Whether a data set's name is of a hub: tfds:NAME, hf:NAME or hf:NAME:CONFIG."""
    prefix, _, rest = name.partition(":")
    return prefix in HUBS and bool(rest)


def load(name: str, data_dir: str | Path | None = None, *, kind: str = "images", size: int | None = None,
         channels: int | None = None, fit: str = "crop", text: str | None = None, label: str | None = None,
         minimum: int = 1, length: int = 256, validation: float = 0.0, seed: int = 0,
         vocabulary: Vocabulary | None = None) -> Dataset:
    """The data set ``name``. One without a test part is evaluated on its validation part, or on a fifth of it.

    Args:
      name: "tfds:NAME"; or "hf:NAME", a name on the hub, or a folder that holds such a set.
      data_dir: Where the library keeps its files; its own place by default.
      kind: "images" or "text".
      size: Side that pictures are brought to, pixels, by default as stored; or words of the vocabulary, by default
        20000.
      channels, fit: As of an image folder; channels by default as stored.
      text, label: Names of the inputs and of the labels, where several could be.
      minimum, length, vocabulary: As of ``text_dataset``.
      validation: Fraction of the part to train on to evaluate on instead.
      seed: Of the choice of examples to hold out.

    Raises:
      Invalid: one line, for a library that is missing, a set that cannot be had, or one of another kind.
    """
    hub = _read(name, data_dir, kind, text, label)
    parts = {KINDS[split.lower()]: split for split in hub.splits if split.lower() in KINDS}
    require("train" in parts, "dataset", name, f"of a part to train on, but has {', '.join(hub.splits)}")
    pictures = _Pictures(name, size, channels, fit)
    read: dict[str, dict[str, Any]] = {}
    for part in ("train", "test", "validation"):
        if part in parts and (kind == "text" or part != "validation" or "test" not in read):
            split = _texts(hub, parts[part]) if kind == "text" else pictures.arrays(hub, parts[part])
            if part == "train" or _is_labelled(split["label"]):
                read[part] = split
    unread = sorted({*hub.splits} - {parts[part] for part in read})
    place = f"{hub.place}; not read: {', '.join(unread)}" if unread else hub.place
    if "test" not in read and "validation" in read:
        read["test"] = read.pop("validation")
    found, classes = _numbered(name, read, hub.classes)
    if kind == "text":
        of = {part: Part(split["text"], split["label"]) for part, split in found.items()}
        corpus = Corpus(name, of["train"], of.get("test"), classes, of.get("validation"))
        return text_dataset(corpus, size=size or 20_000, minimum=minimum, length=length, validation=validation,
                            seed=seed, vocabulary=vocabulary, place=place)
    if "test" not in found:
        numbers = zip(("train", "test"), holdout(found["train"]["label"], HELD_OUT, seed, classes), strict=True)
        found = {part: {key: array[mine] for key, array in found["train"].items()} for part, mine in numbers}
    dataset = Dataset(name, found["train"], found["test"], classes, place)
    return dataset.with_validation(validation, seed) if validation else dataset


def attempt(name: str, act: Callable[[], Made]) -> Made:
    """What a hub's library gives. Raises ``Invalid`` for whatever it raises."""
    try:
        return act()
    except Exception as fault:  # of many types: no network, no such name, damaged files
        reason = " ".join(str(fault).split())[:300] or type(fault).__name__
        raise Invalid(f"`dataset` ({name}) must be loadable: {reason}") from None


def one_of(name: str, what: str, found: list[str], given: str | None, features: Iterable[str]) -> str:
    """The feature that is ``given``, or else the only one that could be."""
    if given is not None:
        require(given in found, f"{what} of {name}", given, f"one of {', '.join(found) or 'none'}")
        return given
    could = f"but of its {', '.join(sorted(features))} those could be: {', '.join(found) or 'none'}"
    require(len(found) == 1, "dataset", name, f"of one {what}, {could}")
    return found[0]


def _read(name: str, data_dir: str | Path | None, kind: str, text: str | None, label: str | None) -> Hub:
    from engine.data import hub_hf, hub_tfds

    prefix, _, rest = name.partition(":")
    try:
        library = importlib.import_module(HUBS[prefix])
    except ImportError as fault:
        raise Invalid(f"`dataset` ({name}) must be loadable: pip install phaseloop[{prefix}] ({fault})") from None
    place = None if data_dir is None else str(data_dir)
    return (hub_tfds if prefix == "tfds" else hub_hf).read(library, name, rest, place, kind, text, label)


class _Pictures:
    """Brings all pictures of a set to one form: that of the first, where none is given."""

    def __init__(self, name: str, size: int | None, channels: int | None, fit: str) -> None:
        self.name, self._size, self._channels, self._fit = name, size, channels, fit
        self._form: Form | None = None

    def arrays(self, hub: Hub, split: str) -> dict[str, Any]:
        """The pictures of a split, uint8 [N, h, w, c], and its labels as they are."""
        pictures, size = np.zeros([0], np.uint8), hub.sizes[split]
        labels: list[Any] = []
        for value, label in hub.splits[split]:
            picture = value if isinstance(value, Image.Image) else Image.fromarray(np.squeeze(value))
            form = self._form = self._form or self._of_all(picture, sum(hub.sizes.values()))
            pictures = np.zeros([size, *form.shape], np.uint8) if not labels else pictures
            require(len(labels) < size, "dataset", self.name, f"of {size} examples in {split}, but has more")
            pictures[len(labels)] = in_form(self._checked(picture, form), form)
            labels.append(label)
        require(labels and len(labels) == size, "dataset", self.name,
                f"of {max(1, size)} examples in {split}, but has {len(labels)}")
        return {"image": pictures, "label": labels}

    def _of_all(self, picture: Image.Image, count: int) -> Form:
        size = (self._size, self._size) if self._size else (picture.height, picture.width)
        form = Form(size, self._channels or _channels(picture), self._fit)
        require(count * np.prod(form.shape) <= ROOM, "dataset", self.name, f"of at most {ROOM >> 30} GiB of pictures, "
                f"but has {count} of {list(form.shape)}: give a smaller size, or use them as files (image-folder)")
        return form

    def _checked(self, picture: Image.Image, form: Form) -> Image.Image:
        size = (picture.height, picture.width)
        require(self._size or size == form.size, "image_size", f"pictures of {list(form.size)} and {list(size)} pixels",
                "given: one that all are brought to")
        require(self._channels or _channels(picture) == form.channels, "channels", "grey and colour pictures",
                "given: 1 or 3")
        return picture


def _channels(picture: Image.Image) -> int:
    return 1 if picture.mode in ("1", "L") or picture.mode.startswith("I") else 3


def _texts(hub: Hub, split: str) -> dict[str, Any]:
    """The texts of a split, and its labels as they are."""
    examples = list(hub.splits[split])
    return {"text": [text for text, _ in examples], "label": [label for _, label in examples]}


def _is_labelled(labels: Sequence[Any]) -> bool:
    """Whether any label is there: some contests keep those of the test part secret."""
    return any(label is not None and label != -1 for label in labels)


def _numbered(name: str, parts: Mapping[str, dict[str, Any]], classes: tuple[str, ...] | None
              ) -> tuple[dict[str, dict[str, Any]], tuple[str, ...]]:
    """The parts with labels int32 from 0, and the labels' names."""
    labels = [label for part in parts.values() for label in part["label"]]
    require(all(label is not None and label != -1 for label in labels), "dataset", name, "of a label for each example, "
            "but some have none")
    numbers, names = (np.array(labels, np.int32), classes) if classes else numbered([str(label) for label in labels])
    ends = np.cumsum([len(part["label"]) for part in parts.values()])[:-1]
    return {part: {**split, "label": mine} for (part, split), mine
            in zip(parts.items(), np.split(numbers, ends), strict=True)}, names
