"""MNIST: 70 000 grey pictures, 28 x 28, of handwritten digits.

Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition", Proceedings of
the IEEE 86(11), 1998.
"""

from collections.abc import Sequence
from pathlib import Path

from engine.data import download, idx_files, npz, places
from engine.data.dataset import Dataset
from engine.data.search import Lacking, search

CLASSES = tuple(map(str, range(10)))
# Of the unpacked content. Nothing was at hand to compute them anew: they, and those of the packed files, are the same
# in many loaders and lists of others; that of Keras's file is the one in Keras's source (keras/src/datasets/mnist.py).
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
KERAS = {"mnist.npz": "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"}  # {name: SHA-256}
URLS = ("https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/")
REMEDY = f"give the folder that holds its four idx files or Keras's {next(iter(KERAS))} (--data-dir)"


def mnist(data_dir: str | Path | None = None) -> Dataset:
    """MNIST. Args and errors: as ``find``."""
    paths = find(places.folder(data_dir))
    place = next(iter(paths.values()))
    if place.name in KERAS:
        found = npz.load(place)
        return Dataset("mnist", found.train, found.test, CLASSES, str(place))
    train, test = idx_files.split(paths, "train"), idx_files.split(paths, "t10k")
    return Dataset("mnist", train, test, CLASSES, str(place.parent))


def find(data_dir: str | Path | None = None, shared: Sequence[Path] | None = None, cache: Path | None = None,
         urls: Sequence[str] = URLS) -> idx_files.Paths:
    """{name: path} of the four idx files, or of Keras's file alone; each checked against its SHA-256.

    They are looked for in ``data_dir``, and in its folders mnist and MNIST/raw (where PyTorch puts them), alone; or
    without one in the ``shared`` folders and phaseloop's cache; then the idx files are downloaded.

    Args:
      data_dir: A folder that holds the files, or is to hold them.
      shared: Folders of others, only read. By default Keras's (KERAS_HOME is honoured).
      cache: Folder to download to without a ``data_dir``. By default ~/.cache/phaseloop/mnist (XDG_CACHE_HOME is
        honoured).
      urls: Addresses of folders with the files, tried in order.

    Raises:
      Invalid: A wrong file in ``data_dir``, or (one line with all that was tried) no files anywhere.
    """
    cache = places.cache("mnist") if cache is None else cache
    given = None if data_dir is None else Path(data_dir)
    return search("mnist", _look, lambda url, folder: idx_files.fetch(url, folder, SHA256), REMEDY,
                  mine=[] if given is None else [given, given / "mnist", given / "MNIST" / "raw"],
                  shared=[places.keras()] if shared is None else shared, target=given or cache, urls=urls)


def _look(folder: Path) -> idx_files.Paths:
    for name, expected in KERAS.items():
        if (folder / name).is_file():
            download.verify(folder / name, expected, name, as_is=True)
            return {name: folder / name}
    try:
        return idx_files.look(folder, SHA256)
    except Lacking as lacking:
        raise Lacking(f"{lacking}, and no {next(iter(KERAS))}") from None
