"""The four idx files of MNIST and of the sets that are published like it: pictures 28 x 28 of ten classes."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from engine.data import download, idx
from engine.data.dataset import Split
from engine.data.search import Lacking
from engine.errors import require

Paths = dict[str, Path]  # {name of a file, without .gz: where it is}


def look(folder: Path, sums: Mapping[str, str]) -> Paths:
    """The files ``sums`` {name: SHA-256 of what it unpacks to} in ``folder``, packed or not, each verified.

    Raises:
      Lacking: If one is not there.
      Invalid: A wrong one.
    """
    paths = {}
    for name, expected in sums.items():
        for path in (folder / f"{name}.gz", folder / name):
            if name not in paths and path.is_file():
                download.verify(path, expected, name)
                paths[name] = path
    missing = [name for name in sums if name not in paths]
    if missing:
        raise Lacking(f"lacks {', '.join(missing)}" if paths else "has none")
    return paths


def fetch(url: str, folder: Path, sums: Mapping[str, str]) -> Paths:
    """The files, downloaded to ``folder``. Raises ``Invalid``."""
    return {name: download.fetch(f"{url}{name}.gz", folder / f"{name}.gz", expected, name)
            for name, expected in sums.items()}


def split(paths: Mapping[str, Path], part: str) -> Split:
    """The part "train" or "t10k": "image" uint8 [N, 28, 28, 1] in 0..255, and "label" int32 [N], from 0."""
    images = idx.read(paths[f"{part}-images-idx3-ubyte"])
    labels = idx.read(paths[f"{part}-labels-idx1-ubyte"])
    require(images.shape == (len(labels), 28, 28), f"{part} images", images.shape, f"[{len(labels)}, 28, 28]")
    return {"image": images[..., np.newaxis], "label": labels.astype(np.int32)}
