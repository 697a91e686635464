"""MNIST from small files in the published forms; the genuine ones' sums stand in the source."""

import gzip
import hashlib

import numpy as np
import pytest

from engine.data import catalog, mnist
from engine.errors import Invalid
from tests.data.test_fashion_mnist import assert_small, encode


@pytest.fixture
def small(tmp_path, monkeypatch):
    """The folder of four idx files of 6 and 4 pictures, and one of Keras's file; their sums are the known ones."""
    folder, keras, arrays = tmp_path / "origin", tmp_path / "keras", {}
    folder.mkdir()
    keras.mkdir()
    random = np.random.default_rng(0)
    for part, name, count in (("train", "train", 6), ("t10k", "test", 4)):
        arrays[f"x_{name}"] = random.integers(0, 256, (count, 28, 28)).astype(np.uint8)
        arrays[f"y_{name}"] = np.arange(count, dtype=np.uint8)
        for file, array in ((f"{part}-images-idx3-ubyte", arrays[f"x_{name}"]),
                            (f"{part}-labels-idx1-ubyte", arrays[f"y_{name}"])):
            (folder / f"{file}.gz").write_bytes(gzip.compress(encode(array)))
            monkeypatch.setitem(mnist.SHA256, file, hashlib.sha256(encode(array)).hexdigest())
    np.savez(keras / "mnist.npz", **arrays)
    monkeypatch.setitem(mnist.KERAS, "mnist.npz", hashlib.sha256((keras / "mnist.npz").read_bytes()).hexdigest())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(mnist.mnist, "__defaults__", (None,))
    return tmp_path


def put(source, target, packed=True):
    target.mkdir(parents=True)
    for path in source.iterdir():
        content = path.read_bytes()
        (target / (path.name if packed else path.stem)).write_bytes(content if packed else gzip.decompress(content))


@pytest.mark.parametrize("below", [".", "mnist", "MNIST/raw"])
@pytest.mark.parametrize("packed", [True, False])
def test_idx_files_in_a_folder_of_the_user(small, below, packed):
    put(small / "origin", small / "mine" / below, packed)
    data = catalog.load("mnist", small / "mine")
    assert_small((data.train, data.test))
    assert data.classes == tuple("0123456789") and data.name == "mnist" and str(small / "mine") in data.place


def test_kerass_file_holds_the_same(small):
    put(small / "origin", small / "mine")
    idx, keras = catalog.load("mnist", small / "mine"), catalog.load("mnist", small / "keras")
    for part in ("train", "test"):
        for name in ("image", "label"):
            one, other = getattr(idx, part)[name], getattr(keras, part)[name]
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
    assert keras.place.endswith("mnist.npz")


def test_keras_cache_ours_and_the_download(small):
    urls = [f"{(small / 'none').as_uri()}/", f"{(small / 'origin').as_uri()}/"]
    found = mnist.find(urls=urls)
    assert {path.parent for path in found.values()} == {small / "cache" / "phaseloop" / "mnist"}
    assert mnist.find(urls=[]) == found
    put(small / "keras", small / "home" / "datasets")
    assert list(mnist.find(urls=[])) == ["mnist.npz"]


def test_a_folder_that_is_named_is_the_only_one_and_a_wrong_file_there_an_error(small):
    put(small / "keras", small / "home" / "datasets")
    mine = small / "mine"
    mine.mkdir()
    with pytest.raises(Invalid, match=r"^`dataset` \(mnist\) must be found or downloadable: give the folder .*-dir"
                                      r".*mine \(has none, and no mnist.npz\)") as caught:
        mnist.find(mine, urls=[])
    assert str(small / "home") not in str(caught.value) and "\n" not in str(caught.value)
    (mine / "mnist.npz").write_bytes(b"other")
    with pytest.raises(Invalid, match=r"^`mnist.npz` \(.*mine/mnist.npz\) must be the genuine file"):
        mnist.find(mine, urls=[])
    (mine / "mnist.npz").unlink()
    (mine / "t10k-labels-idx1-ubyte").write_bytes(b"other")
    with pytest.raises(Invalid, match=r"^`t10k-labels-idx1-ubyte` \(.*\) must be the genuine file"):
        mnist.find(mine, urls=[])
    assert mnist.find(urls=[])  # others' folders are not named
