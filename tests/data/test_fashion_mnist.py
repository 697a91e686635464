"""Fashion-MNIST: the embedded part as it is; the search for the whole set with small files in its place."""

import functools
import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from engine.data import catalog, download, fashion_mnist
from engine.errors import Invalid


def encode(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def small(tmp_path, monkeypatch):
    """The folder of a set of 6 and 4 pictures that stands in for the 70 000; its sums are the known ones."""
    folder = tmp_path / "origin"
    folder.mkdir()
    random = np.random.default_rng(0)
    for part, count in (("train", 6), ("t10k", 4)):
        arrays = {f"{part}-images-idx3-ubyte": random.integers(0, 256, (count, 28, 28)).astype(np.uint8),
                  f"{part}-labels-idx1-ubyte": np.arange(count, dtype=np.uint8)}
        for name, array in arrays.items():
            (folder / f"{name}.gz").write_bytes(gzip.compress(encode(array)))
            monkeypatch.setitem(fashion_mnist.SHA256, name, hashlib.sha256(encode(array)).hexdigest())
    return folder


def load(data_dir=None, *, shared=(), cache=Path("/nowhere/cache"), urls=()):
    return fashion_mnist.load_full(data_dir, shared, cache, urls)


def assert_small(pair):
    train, test = pair
    assert train["image"].shape == (6, 28, 28, 1) and train["image"].dtype == np.uint8
    assert train["label"].tolist() == [0, 1, 2, 3, 4, 5] and train["label"].dtype == np.int32
    assert test["image"].shape == (4, 28, 28, 1) and test["label"].tolist() == [0, 1, 2, 3]


def test_the_embedded_files_are_the_genuine_ones():
    for name in ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        path = fashion_mnist.EMBEDDED / f"{name}.gz"
        assert download.sha256(path) == fashion_mnist.SHA256[name]
        attribution = (fashion_mnist.EMBEDDED / "ATTRIBUTION.md").read_text()
        assert hashlib.sha256(path.read_bytes()).hexdigest() in attribution
        assert fashion_mnist.SHA256[name] in attribution


def test_the_embedded_set():
    data = catalog.load("fashion-mnist-10k")
    assert data.train["image"].shape == (9000, 28, 28, 1) and data.test["image"].shape == (1000, 28, 28, 1)
    assert data.train["image"].dtype == np.uint8 and data.train["image"].max() == 255
    assert data.train["label"].dtype == np.int32 and data.train["label"].shape == (9000,)
    # The first labels of the published test set: an ankle boot, a pullover, two pairs of trousers, a shirt.
    assert [data.classes[label] for label in data.train["label"][:5]] == [
        "Ankle boot", "Pullover", "Trouser", "Trouser", "Shirt"]
    labels = np.concatenate([data.train["label"], data.test["label"]])
    assert np.bincount(labels).tolist() == [1000] * 10 and len(data.classes) == 10


@pytest.mark.parametrize("below", [".", "fashion-mnist"])
@pytest.mark.parametrize("packed", [True, False])
def test_a_folder_given_by_the_user(small, tmp_path, below, packed):
    folder = tmp_path / "mine" / below
    folder.mkdir(parents=True)
    for path in small.iterdir():
        content = gzip.decompress(path.read_bytes())
        if packed:
            (folder / path.name).write_bytes(gzip.compress(content, compresslevel=1, mtime=1))
        else:
            (folder / path.stem).write_bytes(content)
    assert_small(load(tmp_path / "mine"))


def test_shared_folders_and_the_cache(small, tmp_path):
    assert_small(load(shared=[tmp_path / "none", small]))
    assert_small(load(cache=small))


def test_a_folder_that_is_named_is_the_only_one(small, tmp_path):
    with pytest.raises(Invalid, match="must be found or downloadable") as error:
        load(tmp_path, shared=[small], cache=small)
    assert str(small) not in str(error.value)


def test_a_wrong_file_of_the_user_is_named_and_kept(small, tmp_path):
    wrong = tmp_path / "train-labels-idx1-ubyte.gz"
    for content in (gzip.compress(b"other"), b"\x1f\x8bdamaged", b"plain"):
        wrong.write_bytes(content)
        with pytest.raises(Invalid, match=rf"^`train-labels-idx1-ubyte` \({wrong}\) must be [^\n]+$"):
            load(tmp_path, shared=[small], urls=[f"{small.as_uri()}/"])
        assert wrong.read_bytes() == content


def test_a_wrong_file_of_others_is_passed_over(small, tmp_path):
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(b"wrong")
    assert_small(load(shared=[tmp_path, small]))


def test_download_to_the_cache_from_the_second_address(small, tmp_path):
    cache = tmp_path / "cache"
    (tmp_path / "half").mkdir()
    for name in ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"):
        (tmp_path / "half" / name).write_bytes((small / name).read_bytes())
    assert_small(load(cache=cache, urls=[f"{(tmp_path / 'half').as_uri()}/", f"{small.as_uri()}/"]))
    assert sorted(path.name for path in cache.iterdir()) == sorted(path.name for path in small.iterdir())
    assert_small(load(cache=cache))
    (cache / "t10k-labels-idx1-ubyte.gz").write_bytes(b"damaged since")
    assert_small(load(cache=cache, urls=[f"{small.as_uri()}/"]))


def test_download_to_the_folder_of_the_user(small, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    assert_small(load(mine, urls=[f"{small.as_uri()}/"]))
    assert_small(load(mine))


def test_nothing_works_is_one_line_with_all_that_was_tried(small, tmp_path):
    with pytest.raises(Invalid) as caught:
        load(shared=[tmp_path / "shared"], cache=tmp_path / "cache", urls=[f"{tmp_path.as_uri()}/empty/"])
    text = str(caught.value)
    assert text.startswith("`dataset` (fashion-mnist) must be found or downloadable: ") and "\n" not in text
    for part in ("--data-dir", "dataset-fashion-mnist", "--dataset fashion-mnist-10k",
                 str(tmp_path / "shared"), str(tmp_path / "cache"), f"{tmp_path.as_uri()}/empty/"):
        assert part in text


def test_the_folders_of_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    debian = Path("/usr/share/datasets/fashion-mnist")
    assert fashion_mnist._shared() == [debian, Path("/home/me/.keras/datasets/fashion-mnist")]
    assert fashion_mnist._cache() == Path("/home/me/.cache/phaseloop/fashion-mnist")
    monkeypatch.setenv("KERAS_HOME", "/k")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert fashion_mnist._shared() == [debian, Path("/k/datasets/fashion-mnist")]
    assert fashion_mnist._cache() == Path("/x/phaseloop/fashion-mnist")


def test_the_catalog_loads_the_whole_set_by_name(small):
    data = catalog.load("fashion-mnist", small)
    assert_small((data.train, data.test))
    assert data.name == "fashion-mnist" and data.classes[9] == "Ankle boot"


def test_the_catalog_refuses_in_one_line(small, tmp_path, monkeypatch):
    nearby = functools.partial(fashion_mnist.load_full, shared=(), urls=())
    monkeypatch.setattr(fashion_mnist, "load_full", nearby)
    with pytest.raises(Invalid, match=r"^`dataset` \(fashon-mnist\) must be one of fashion-mnist-10k, "
                                      r"fashion-mnist, .*; nearest: fashion-mnist$"):
        catalog.load("fashon-mnist")
    with pytest.raises(Invalid, match=r"^`dataset` \(\) must be one of .*; nearest: "):
        catalog.load("")
    for name in ("fashion-mnist-10k", "fashion-mnist"):
        with pytest.raises(Invalid, match=r"^`data_dir` \(/no/such\) must be a folder that exists$"):
            catalog.load(name, "/no/such")
    with pytest.raises(Invalid, match=r"^`data_dir` \(.*\) must be left out for fashion-mnist-10k"):
        catalog.load("fashion-mnist-10k", small)
    with pytest.raises(Invalid, match=r"^`dataset` \(fashion-mnist\) must be found or downloadable[^\n]+$"):
        catalog.load("fashion-mnist", tmp_path)
