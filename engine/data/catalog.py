"""The data sets that are known by name."""

import difflib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.data import fashion_mnist
from engine.errors import require

DATASETS = ("fashion-mnist-10k", "fashion-mnist")


@dataclass(frozen=True)
class Dataset:
    """A labelled set of pictures in memory, as stored."""

    name: str
    train: dict[str, np.ndarray]  # "image": uint8 [N, h, w, c] in 0..255; "label": int32 [N], from 0
    test: dict[str, np.ndarray]  # held out: as train, with other examples
    classes: tuple[str, ...]  # names of the labels 0, 1, ...


def load(name: str, data_dir: str | Path | None = None) -> Dataset:
    """The data set ``name``.

    Args:
      name: One of ``DATASETS``. fashion-mnist-10k (9 000 and 1 000 pictures) comes with phaseloop;
        fashion-mnist (60 000 and 10 000) is found on this machine or downloaded.
      data_dir: A folder that holds the files of fashion-mnist, or is to hold them.

    Raises:
      Invalid: for an unknown name, a ``data_dir`` that is no folder or has no use, or files that are wrong or
        cannot be had.
    """
    nearest = difflib.get_close_matches(name, DATASETS, n=1, cutoff=0.0)[0]
    require(name in DATASETS, "dataset", name, f"one of {', '.join(DATASETS)}; nearest: {nearest}")
    require(data_dir is None or Path(data_dir).is_dir(), "data_dir", data_dir, "a folder that exists")
    if name == "fashion-mnist":
        return Dataset(name, *fashion_mnist.load_full(data_dir), fashion_mnist.CLASSES)
    require(data_dir is None, "data_dir", data_dir,
            f"left out for {name}, which comes with phaseloop (the full set is fashion-mnist)")
    return Dataset(name, *fashion_mnist.load_10k(), fashion_mnist.CLASSES)
