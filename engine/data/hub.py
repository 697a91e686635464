"""Labelled pictures and texts of TensorFlow Datasets (tfds:NAME) and of Hugging Face (hf:NAME).

Their libraries are extras: ``pip install phaseloop[tfds]``, ``pip install phaseloop[hf]``. What is read is held in
memory.
"""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.data import hub_hf, hub_tfds
from engine.data.dataset import Dataset
from engine.data.folds import holdout
from engine.data.hub_pictures import Pictures
from engine.data.hub_set import Hub
from engine.data.parts import KINDS
from engine.data.text import Corpus, Part, numbered
from engine.data.text_dataset import text_dataset
from engine.data.vocabulary import Vocabulary
from engine.errors import Invalid, require

HUBS = {"tfds": "tensorflow_datasets", "hf": "datasets"}  # prefix of a name: library
HELD_OUT = 0.2  # fraction, of a set without a test part


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
      data_dir: Folder where the library keeps its files; its own place by default.
      kind: "images" or "text".
      size: Side that pictures are brought to, pixels, by default as stored; or words of the vocabulary, by default
        20000.
      channels, fit: The same as of an image folder; channels by default as stored.
      text, label: Names of the inputs and of the labels, where several could be.
      minimum, length, vocabulary: The same as of ``text_dataset``.
      validation: Fraction of the part to train on to evaluate on instead.
      seed: Seed of the choice of examples to hold out.

    Raises:
      Invalid: One line, for a library that is missing, a set that cannot be had, or one of another kind.
    """
    hub = _read(name, data_dir, kind, text, label)
    parts = {KINDS[split.lower()]: split for split in hub.splits if split.lower() in KINDS}
    require("train" in parts, "dataset", name, f"of a part to train on, but has {', '.join(hub.splits)}")
    pictures = Pictures(name, size, channels, fit)
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


def _read(name: str, data_dir: str | Path | None, kind: str, text: str | None, label: str | None) -> Hub:
    prefix, _, rest = name.partition(":")
    try:
        library = importlib.import_module(HUBS[prefix])
    except ImportError as fault:
        raise Invalid(f"`dataset` ({name}) must be loadable: pip install phaseloop[{prefix}] ({fault})") from None
    place = None if data_dir is None else str(data_dir)
    return (hub_tfds if prefix == "tfds" else hub_hf).read(library, name, rest, place, kind, text, label)


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
