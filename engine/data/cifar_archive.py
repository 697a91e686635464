"""What is in a published archive of CIFAR-10 or CIFAR-100: pickles of Python 2, or plain records.

A record is its label bytes (CIFAR-100: coarse, then fine), then 3 072 bytes of picture: 32 x 32 red ones in rows,
as many green, as many blue. A pickle is a dictionary with such pictures as the rows of the array ``data``, and a
list of labels (https://www.cs.toronto.edu/~kriz/cifar.html).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.data import unpickle
from engine.data.archive import members
from engine.data.dataset import Split
from engine.errors import require

PIXELS = 3 * 32 * 32  # bytes of a picture
SPARE = 128  # bytes that a pickle may have beside each picture; the published ones have 33, most of them a file name
CLASSES = {"labels": 10, "coarse_labels": 20, "fine_labels": 100}
TRAIN, TEST = 50_000, 10_000  # pictures

Batch = tuple[np.ndarray, np.ndarray]  # pictures, uint8 [n, 3072], and labels, int32 [n]


@dataclass(frozen=True)
class Archive:
    """One published archive. A member's name is below ``folder``."""

    file: str
    sha256: str  # of the file as published
    folder: str
    train: tuple[str, ...]  # members, each of an equal part of the pictures to train on
    test: str  # member
    meta: str  # member with the names of the classes; {} stands for label_names, coarse_label_names, ...
    kinds: tuple[str, ...]  # of labels, keys of CLASSES, in the order of a record's bytes
    pickled: bool


def read(path: Path, archive: Archive, kind: str) -> tuple[Split, Split, tuple[str, ...]]:
    """The pictures, their labels of one kind, and the names of the classes.

    Args:
      path: The file; its sum has been verified, so that what is wrong here is a copy made on purpose.
      archive: What it holds.
      kind: One of ``archive.kinds``.

    Returns:
      (train, test, names): "image" uint8 [N, 32, 32, 3] and "label" int32 [N], twice.

    Raises:
      Invalid: One line that names ``path``, for anything that is missing, damaged or out of its range.
    """
    names = f"{kind.removesuffix('s')}_names"
    meta = archive.meta.format(names)
    counts = {**dict.fromkeys(archive.train, TRAIN // len(archive.train)), archive.test: TEST}
    largest = {name: count * (PIXELS + SPARE) + 4096 for name, count in counts.items()} | {meta: 1 << 16}
    content = members(path, {f"{archive.folder}/{name}": size for name, size in largest.items()})
    content = {name.removeprefix(f"{archive.folder}/"): each for name, each in content.items()}
    batches = {}
    for name, count in counts.items():
        where = f"{name} of {path}"
        batches[name] = (_pickled(content.pop(name), count, kind, where) if archive.pickled
                         else _records(content.pop(name), count, kind, archive.kinds, where))
    train, test = _split([batches[name] for name in archive.train]), _split([batches[archive.test]])
    return train, test, _names(content[meta], names if archive.pickled else None, CLASSES[kind], f"{meta} of {path}")


def _pickled(content: bytes, count: int, kind: str, where: str) -> Batch:
    batch = unpickle.loads(content, where)
    require(type(batch) is dict and {"data", kind} <= batch.keys(), "file", where, f"a dictionary with data and {kind}")
    data, labels = batch["data"], batch[kind]
    fits = isinstance(data, np.ndarray) and data.dtype == np.uint8 and data.shape == (count, PIXELS)
    require(fits, "file", where, f"of data that is uint8 [{count}, {PIXELS}]")
    fits = type(labels) is list and len(labels) == count and all(type(label) is int for label in labels)
    require(fits, "file", where, f"of {count} {kind} that are whole numbers")
    return data, _labels(np.array(labels, object), kind, where)


def _records(content: bytes, count: int, kind: str, kinds: tuple[str, ...], where: str) -> Batch:
    size = len(kinds) + PIXELS
    require(len(content) == count * size, "file", where, f"of {count} records of {size} bytes, but has {len(content)}")
    records = np.frombuffer(content, np.uint8).reshape(count, size)
    return records[:, len(kinds):], _labels(records[:, kinds.index(kind)], kind, where)


def _labels(labels: np.ndarray, kind: str, where: str) -> np.ndarray:
    wrong = np.flatnonzero((labels < 0) | (labels >= CLASSES[kind]))
    first = wrong[0] if len(wrong) else 0
    require(not len(wrong), "label", labels[first], f"in 0..{CLASSES[kind] - 1}: number {first} of {kind} in {where}")
    return labels.astype(np.int32)


def _split(batches: list[Batch]) -> Split:
    pictures = np.concatenate([pixels for pixels, _ in batches]).reshape(-1, 3, 32, 32)
    return {"image": np.ascontiguousarray(pictures.transpose(0, 2, 3, 1)),  # [N, 32, 32, 3]
            "label": np.concatenate([labels for _, labels in batches])}


def _names(content: bytes, key: str | None, count: int, where: str) -> tuple[str, ...]:
    """Of a pickled dictionary's ``key``; of the lines of a text where that is None."""
    if key is None:
        names = content.decode("latin1").split("\n")
        names = [name.strip() for name in names if name.strip()]
    else:
        meta = unpickle.loads(content, where)
        require(type(meta) is dict and key in meta, "file", where, f"a dictionary with {key}")
        names = meta[key]
    fits = type(names) is list and all(type(name) is str and name for name in names)
    require(fits and len(set(names)) == len(names) == count, "file", where, f"of {count} names of classes")
    return tuple(names)
