"""Fashion-MNIST: 70 000 grey pictures, 28 x 28, of ten kinds of clothing.

H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
Algorithms", 2017, arXiv:1708.07747. Its 10 000 test pictures come with phaseloop; see
``fashion_mnist_10k/ATTRIBUTION.md``.
"""

from collections.abc import Sequence
from pathlib import Path

from engine.data import idx_files, places
from engine.data.dataset import Dataset, Split
from engine.data.search import search

CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
           "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
TRAINED_OF_10K = 9_000  # examples; the other 1 000 are held out
EMBEDDED = Path(__file__).parent / "fashion_mnist_10k"
# Of the unpacked content, so that files packed again verify too. They were taken from Debian's files, which,
# given back the name and the time of their gzip headers, have the MD5 sums that the authors publish.
SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
URLS = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",  # the authors'
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/")  # TensorFlow's copy
REMEDY = ("give the folder that holds its files (--data-dir), or install the Debian package "
          "dataset-fashion-mnist, or use --dataset fashion-mnist-10k, which needs no files")


def embedded(data_dir: str | Path | None = None) -> Dataset:
    """fashion-mnist-10k, which comes with phaseloop and so takes no ``data_dir``."""
    places.unused(places.folder(data_dir),
                  "fashion-mnist-10k, which comes with phaseloop (the full set is fashion-mnist)")
    return Dataset("fashion-mnist-10k", *load_10k(), CLASSES, "shipped with phaseloop")


def full(data_dir: str | Path | None = None) -> Dataset:
    """fashion-mnist. Args and errors: as ``find``."""
    paths = find(places.folder(data_dir))
    return Dataset("fashion-mnist", *_parts(paths), CLASSES, str(next(iter(paths.values())).parent))


def load_10k() -> tuple[Split, Split]:
    """The pictures that come with phaseloop: always the same 9 000 to train on and 1 000 held out."""
    both = idx_files.split({name: EMBEDDED / f"{name}.gz" for name in SHA256 if name.startswith("t10k")}, "t10k")
    return ({name: array[:TRAINED_OF_10K] for name, array in both.items()},
            {name: array[TRAINED_OF_10K:] for name, array in both.items()})


def load_full(data_dir: str | Path | None = None, shared: Sequence[Path] | None = None,
              cache: Path | None = None, urls: Sequence[str] = URLS) -> tuple[Split, Split]:
    """The whole set: 60 000 pictures to train on and 10 000 held out. Args and errors: as ``find``."""
    return _parts(find(data_dir, shared, cache, urls))


def find(data_dir: str | Path | None = None, shared: Sequence[Path] | None = None, cache: Path | None = None,
         urls: Sequence[str] = URLS) -> idx_files.Paths:
    """{name: path} of the whole set's four files.

    They, packed or not, are looked for in ``data_dir`` and ``data_dir/fashion-mnist`` alone, or without one in the
    ``shared`` folders and phaseloop's cache, then downloaded. Every file is checked against its SHA-256.

    Args:
      data_dir: A folder that holds the files, or is to hold them.
      shared: Folders of others, only read. By default Debian's and Keras's (KERAS_HOME is honoured).
      cache: Folder to download to without a ``data_dir``. By default ~/.cache/phaseloop/fashion-mnist
        (XDG_CACHE_HOME is honoured).
      urls: Addresses of folders with the files, tried in order.

    Raises:
      Invalid: A wrong file in ``data_dir``, or (one line with all that was tried) no files anywhere.
    """
    mine = [] if data_dir is None else [Path(data_dir), Path(data_dir, "fashion-mnist")]
    target = Path(data_dir) if data_dir is not None else _cache() if cache is None else cache
    return search("fashion-mnist", lambda folder: idx_files.look(folder, SHA256),
                  lambda url, folder: idx_files.fetch(url, folder, SHA256), REMEDY, mine=mine,
                  shared=_shared() if shared is None else shared, target=target, urls=urls)


def _parts(paths: idx_files.Paths) -> tuple[Split, Split]:
    return idx_files.split(paths, "train"), idx_files.split(paths, "t10k")


def _shared() -> list[Path]:
    return [Path("/usr/share/datasets/fashion-mnist"), places.keras() / "fashion-mnist"]


def _cache() -> Path:
    return places.cache("fashion-mnist")
