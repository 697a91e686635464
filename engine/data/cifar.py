"""CIFAR-10 and CIFAR-100: 60 000 colour pictures, 32 x 32, of ten, a hundred or twenty kinds of things.

A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009; the archives are those of
https://www.cs.toronto.edu/~kriz/cifar.html, whose python and binary forms hold the same pictures.
"""

from collections.abc import Sequence
from pathlib import Path

from engine.data import cifar_archive, download, places
from engine.data.cifar_archive import Archive
from engine.data.dataset import Dataset
from engine.data.search import Lacking, search

FIVE = tuple(f"data_batch_{number}" for number in range(1, 6))
# The binary archive first: it is what is downloaded, as records need no unpickling. The authors publish MD5 sums
# alone, which stand at the line's end. The SHA-256 of the python archives are those in Keras's source
# (keras/src/datasets/cifar10.py, cifar100.py); those of the binary ones were found alike in the loaders of Ruby's
# red-datasets, Julia's MLDatasets (CIFAR-100) and Go's GoMLX, and, for CIFAR-10, beside the MD5 below in a record
# of a verified download. No file was at hand to compute them anew.
ARCHIVES = {
    "cifar10": (
        Archive("cifar-10-binary.tar.gz",  # MD5 c32a1d4ab5d03f1284b67883e8d87530
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd", "cifar-10-batches-bin",
                tuple(f"{name}.bin" for name in FIVE), "test_batch.bin", "batches.meta.txt", ("labels",), False),
        Archive("cifar-10-python.tar.gz",  # MD5 c58f30108f718f92721af3b95e74349a
                "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce", "cifar-10-batches-py",
                FIVE, "test_batch", "batches.meta", ("labels",), True),
    ),
    "cifar100": (
        Archive("cifar-100-binary.tar.gz",  # MD5 03b5dce01913d631647c71ecec9e9cb8
                "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec", "cifar-100-binary",
                ("train.bin",), "test.bin", "{}.txt", ("coarse_labels", "fine_labels"), False),
        Archive("cifar-100-python.tar.gz",  # MD5 eb9058c3a382ffc7106e4002c42a8d85
                "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7", "cifar-100-python",
                ("train",), "test", "meta", ("coarse_labels", "fine_labels"), True),
    ),
}
# Keras 2, then Keras 3, call an archive by the folder in it.
KERAS_NAMES = ("{}.tar.gz", "{}-target.tar.gz", "{}-target_archive")
URLS = ("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/")  # the authors', old and new


def cifar10(data_dir: str | Path | None = None) -> Dataset:
    """CIFAR-10, with its ten classes. Args and errors: as ``find``."""
    return _load("cifar10", "cifar10", "labels", data_dir)


def cifar100(data_dir: str | Path | None = None) -> Dataset:
    """CIFAR-100, with its hundred fine classes. Args and errors: as ``find``."""
    return _load("cifar100", "cifar100", "fine_labels", data_dir)


def cifar100_coarse(data_dir: str | Path | None = None) -> Dataset:
    """CIFAR-100, with its twenty coarse classes. Args and errors: as ``find``."""
    return _load("cifar100-coarse", "cifar100", "coarse_labels", data_dir)


def find(name: str, data_dir: str | Path | None = None, shared: Sequence[Path] | None = None,
         cache: Path | None = None, urls: Sequence[str] | None = None) -> tuple[Path, Archive]:
    """A verified archive of ``name``: of the folder given, or else of others' or of our cache; or downloaded.

    Args:
      name: A key of ``ARCHIVES``.
      data_dir: A folder that holds an archive of either form, or is to hold one; also its sub-folder ``name``.
      shared: Folders of others, only read. By default Keras's (KERAS_HOME is honoured).
      cache: Folder to download to without a ``data_dir``. By default ~/.cache/phaseloop/<name>.
      urls: Addresses of folders with the archives, tried in order; ``URLS`` by default.

    Raises:
      Invalid: A ``data_dir`` that is no folder, a wrong file in it, or (one line with all that was tried)
        no archive anywhere.
    """
    given, archive = places.folder(data_dir), ARCHIVES[name][0]

    def fetch(url: str, folder: Path) -> tuple[Path, Archive]:
        path = folder / archive.file
        return download.fetch(f"{url}{archive.file}", path, archive.sha256, archive.file, as_is=True), archive

    files = " or ".join(archive.file for archive in ARCHIVES[name])
    return search(name, lambda folder: _look(folder, ARCHIVES[name]), fetch,
                  f"give the folder that holds {files}, not extracted (--data-dir)",
                  mine=[] if given is None else [given, given / name],
                  shared=[places.keras()] if shared is None else shared,
                  target=given or (places.cache(name) if cache is None else cache), urls=URLS if urls is None else urls)


def _look(folder: Path, archives: Sequence[Archive]) -> tuple[Path, Archive]:
    for archive in archives:
        for file in dict.fromkeys([archive.file, *(name.format(archive.folder) for name in KERAS_NAMES)]):
            if (folder / file).is_file():
                download.verify(folder / file, archive.sha256, archive.file, as_is=True)
                return folder / file, archive
    raise Lacking("has none")


def _load(name: str, files: str, kind: str, data_dir: str | Path | None) -> Dataset:
    path, archive = find(files, data_dir)
    return Dataset(name, *cifar_archive.read(path, archive, kind), place=str(path))
