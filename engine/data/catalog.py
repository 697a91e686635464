"""The data sets that are known by name."""

import difflib
import functools
import inspect
from collections.abc import Callable, Collection
from pathlib import Path

from engine.data import cifar, fashion_mnist, hub, image_folder, mnist, npz, synthetic, table, text_dataset
from engine.data.dataset import Dataset
from engine.data.image_folder import ImageFolder
from engine.errors import require

__all__ = ["DATASETS", "Dataset", "load", "options_of"]

# Name: loader(data_dir, *, option=default, ...). A loader checks its data_dir and its options itself.
DATASETS: dict[str, Callable[..., Dataset | ImageFolder]] = {
    "fashion-mnist-10k": fashion_mnist.embedded,
    "fashion-mnist": fashion_mnist.full,
    "mnist": mnist.mnist,
    "cifar10": cifar.cifar10,
    "cifar100": cifar.cifar100,
    "cifar100-coarse": cifar.cifar100_coarse,
    "npz": npz.load,
    "image-folder": image_folder.load,
    "imdb": text_dataset.imdb,
    "text-csv": text_dataset.csv_file,
    "text-folder": text_dataset.folder,
    "linear": synthetic.linear,
    "polynomial": synthetic.polynomial,
    "csv": table.load,
}


def load(name: str, data_dir: str | Path | None = None, **options: object) -> Dataset | ImageFolder:
    """The data set ``name``.

    Args:
      name: One of ``DATASETS``, or tfds:NAME or hf:NAME (see ``hub``). fashion-mnist-10k (9 000 and 1 000 pictures)
        comes with phaseloop; fashion-mnist, mnist and the CIFAR sets are found on this machine or downloaded; npz is
        arrays of one's own, csv a table; linear and polynomial are made from a seed.
      data_dir: A folder that holds the data set's files, or is to hold them; for npz and csv, the file.
      options: The keyword arguments of the data set's loader.

    Raises:
      Invalid: An unknown name or option, with the nearest known one; a ``data_dir`` that is missing or has
        no use; or files that are wrong or cannot be had.
    """
    takes = options_of(name)
    for option in options:
        require(takes, f"option of {name}", option, f"left out: {name} takes none")
        _known(f"option of {name}", option, takes)
    return _loader(name)(data_dir, **options)


def options_of(name: str) -> list[str]:
    """The keyword arguments of the data set's loader. Raises ``Invalid`` for an unknown name."""
    parameters = inspect.signature(_loader(name)).parameters.values()
    return [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]


def _loader(name: str) -> Callable[..., Dataset | ImageFolder]:
    if hub.is_hub(name):
        return functools.partial(hub.load, name)
    _known("dataset", name, DATASETS)
    return DATASETS[name]


def _known(what: str, name: str, names: Collection[str]) -> None:
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.0)[0]
    require(name in names, what, name, f"one of {', '.join(names)}; nearest: {nearest}")
