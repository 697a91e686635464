"""CIFAR: small archives in the published forms, whose sums stand in for the known ones; and broken ones."""

import dataclasses
import hashlib
import io
import os
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest

from engine.data import catalog, cifar, cifar_archive
from engine.errors import Invalid

TEN = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
COARSE, FINE = [f"coarse {i}" for i in range(20)], [f"fine {i}" for i in range(100)]
DRAW = np.random.default_rng(0)
ROWS = DRAW.integers(0, 256, (14, 3072)).astype(np.uint8)  # 10 to train on, 4 to test
LABELS = [3, 0, 9, 1, 1, 2, 7, 8, 4, 5, 6, 6, 0, 9]
FINES = [99, 0, 50, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 98]
COARSES = [19, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 18]
NAMES = [f"{i}.png" for i in range(14)]


def old_pickle(value):
    """``value`` as cPickle of Python 2 writes it, in protocol 2: the form that is published."""
    return b"\x80\x02" + opcodes(value) + b"."


def opcodes(value):
    if isinstance(value, dict):
        return b"}(" + b"".join(opcodes(key) + opcodes(each) for key, each in value.items()) + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(map(opcodes, value)) + b"e"
    if isinstance(value, int):
        return b"K" + bytes([value]) if 0 <= value < 256 else b"J" + struct.pack("<i", value)
    if isinstance(value, np.ndarray):
        shape = b"".join(map(opcodes, value.shape)) + b"\x86"
        kind = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        raw = b"T" + struct.pack("<i", value.size) + value.tobytes()
        return (b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01" + shape + kind
                + b"\x89" + raw + b"tb")
    return b"U" + bytes([len(value)]) + value.encode()


def members_of(name, pickled):
    """{member: content} of a small archive."""
    if name == "cifar10":
        parts = {f"data_batch_{i + 1}": slice(2 * i, 2 * i + 2) for i in range(5)} | {"test_batch": slice(10, 14)}
        made = {part: {"batch_label": "a batch", "labels": LABELS[at], "data": ROWS[at], "filenames": NAMES[at]}
                for part, at in parts.items()}
        if pickled:
            meta = {"num_cases_per_batch": 10000, "label_names": TEN, "num_vis": 3072}
            return {part: old_pickle(value) for part, value in made.items()} | {"batches.meta": old_pickle(meta)}
        records = {f"{part}.bin": np.c_[np.uint8(LABELS[at]), ROWS[at]].tobytes() for part, at in parts.items()}
        return records | {"batches.meta.txt": ("\n".join(TEN) + "\n\n").encode()}
    parts = {"train": slice(0, 10), "test": slice(10, 14)}
    if pickled:
        meta = {"fine_label_names": FINE, "coarse_label_names": COARSE}
        return {part: old_pickle({"filenames": NAMES[at], "batch_label": "a batch", "fine_labels": FINES[at],
                                  "coarse_labels": COARSES[at], "data": ROWS[at]})
                for part, at in parts.items()} | {"meta": old_pickle(meta)}
    records = {f"{part}.bin": np.c_[np.uint8(COARSES[at]), np.uint8(FINES[at]), ROWS[at]].tobytes()
               for part, at in parts.items()}
    return records | {"fine_label_names.txt": "\n".join([*FINE, ""]).encode(),
                      "coarse_label_names.txt": "\n".join([*COARSE, ""]).encode()}


def packed(folder, members):
    """A .tar.gz of ``members`` below ``folder``."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo(f"{folder}/readme.html"))
        for name, each in members.items():
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(each)
            archive.addfile(info, io.BytesIO(each))
    return content.getvalue()


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """10 and 4 pictures instead of 50 000 and 10 000; nothing on this machine and no address."""
    monkeypatch.setattr(cifar_archive, "TRAIN", 10)
    monkeypatch.setattr(cifar_archive, "TEST", 4)
    monkeypatch.setattr(cifar, "URLS", ())
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)


@pytest.fixture
def publish(monkeypatch, tmp_path):
    """``publish(name, pickled)`` writes an archive and makes its sum the known one."""
    def write(name, pickled, folder=tmp_path, file=None, members=None, change=None, content=None):
        archive = next(each for each in cifar.ARCHIVES[name] if each.pickled == pickled)
        members = members_of(name, pickled) if members is None else members
        content = packed(archive.folder, {**members, **(change or {})}) if content is None else content
        known = dataclasses.replace(archive, sha256=hashlib.sha256(content).hexdigest())
        monkeypatch.setitem(cifar.ARCHIVES, name,
                            tuple(known if each is archive else each for each in cifar.ARCHIVES[name]))
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / (file or archive.file)
        path.write_bytes(content)
        return path
    return write


def assert_pictures(images, rows):
    """Each picture's value at (y, x, c) is that of its row at 1024 c + 32 y + x."""
    y, x, c = np.meshgrid(range(32), range(32), range(3), indexing="ij")
    np.testing.assert_array_equal(images, rows[:, 1024 * c + 32 * y + x])
    assert images.dtype == np.uint8 and images.flags["C_CONTIGUOUS"]


def refusal(name, folder):
    with pytest.raises(Invalid) as caught:
        catalog.load(name, folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("pickled", [True, False])
@pytest.mark.parametrize("name, files, labels, classes", [
    ("cifar10", "cifar10", LABELS, TEN), ("cifar100", "cifar100", FINES, FINE),
    ("cifar100-coarse", "cifar100", COARSES, COARSE)])
def test_both_forms_give_the_same_pictures_labels_and_names(publish, tmp_path, pickled, name, files, labels, classes):
    publish(files, pickled)
    data = catalog.load(name, tmp_path)
    assert data.name == name and data.classes == tuple(classes)
    assert_pictures(data.train["image"], ROWS[:10])
    assert_pictures(data.test["image"], ROWS[10:])
    assert data.train["label"].tolist() == labels[:10] and data.test["label"].tolist() == labels[10:]
    assert data.train["label"].dtype == data.test["label"].dtype == np.int32


def test_pickles_of_python_3_are_read_alike(publish, tmp_path):
    rows = ROWS[10:] // 2  # below 128, where protocol 2 writes one byte for each
    batch = {"labels": LABELS[10:], "data": rows}
    for protocol in (2, 4):
        publish("cifar10", True, change={"test_batch": pickle.dumps(batch, protocol=protocol)})
        assert_pictures(catalog.load("cifar10", tmp_path).test["image"], rows)


def test_the_places_that_are_searched(publish, tmp_path):
    name = "cifar-10-batches-py"
    home = tmp_path / "home"
    places = [(tmp_path / "mine" / "cifar10", None), (home / ".cache/phaseloop/cifar10", None),
              *((home / ".keras/datasets", file) for file in (
                  "cifar-10-python.tar.gz", f"{name}.tar.gz", f"{name}-target.tar.gz", f"{name}-target_archive"))]
    (tmp_path / "mine").mkdir()
    for folder, file in places:
        path = publish("cifar10", True, folder, file)
        given = tmp_path / "mine" if "mine" in path.parts else None
        assert cifar.find("cifar10", given)[0] == path
        assert len(catalog.load("cifar10", given).train["label"]) == 10
        path.unlink()


def test_a_wrong_archive_of_the_user_is_named_and_one_of_others_passed_over(publish, tmp_path):
    mine, keras = tmp_path / "mine", tmp_path / "home/.keras/datasets"
    wrong = publish("cifar10", True, mine)
    publish("cifar10", True, keras, change={"other": b""})  # its sum is now the known one
    text = refusal("cifar10", mine)
    assert text.startswith(f"`cifar-10-python.tar.gz` ({wrong}) must be the genuine file, of SHA-256 ")
    (keras / "cifar-10-binary.tar.gz").write_bytes(b"wrong")
    text = refusal("cifar10", None)
    assert f"`cifar-10-binary.tar.gz` ({keras / 'cifar-10-binary.tar.gz'}) must be the genuine file" in text
    (keras / "cifar-10-binary.tar.gz").unlink()
    assert len(catalog.load("cifar10").train["label"]) == 10


def test_the_binary_archive_is_downloaded(publish, tmp_path, monkeypatch):
    origin = publish("cifar100", False, tmp_path / "origin").parent
    monkeypatch.setattr(cifar, "URLS", (f"{(tmp_path / 'none').as_uri()}/", f"{origin.as_uri()}/"))
    mine = tmp_path / "mine"
    mine.mkdir()
    for given, folder in ((None, tmp_path / "home/.cache/phaseloop/cifar100"), (mine, mine)):
        assert catalog.load("cifar100", given).test["label"].tolist() == FINES[10:]
        assert [path.name for path in folder.iterdir()] == ["cifar-100-binary.tar.gz"]
        monkeypatch.setattr(cifar, "URLS", (f"{origin.as_uri()}/",))


def test_nothing_anywhere_is_one_line(tmp_path):
    text = refusal("cifar100", tmp_path)
    assert text.startswith("`dataset` (cifar100) must be found or downloadable: give the folder that holds "
                           "cifar-100-binary.tar.gz or cifar-100-python.tar.gz, not extracted (--data-dir). Tried: ")
    assert str(tmp_path) in text and ".keras" not in text  # the folder that is named is the only one
    assert ".keras/datasets (has none)" in refusal("cifar100", None)
    assert refusal("cifar10", tmp_path / "no") == f"`data_dir` ({tmp_path / 'no'}) must be a folder that exists"


@pytest.mark.parametrize("pickled", [True, False])
def test_an_archive_cut_short_or_without_a_member(publish, tmp_path, pickled):
    path = publish("cifar10", pickled)
    content = path.read_bytes()
    for short in (content[:len(content) // 2], content[:5], b"", b"not an archive"):
        publish("cifar10", pickled, content=short)
        assert f"({path}) must be readable, whole and intact: " in refusal("cifar10", tmp_path)
    for member in members_of("cifar10", pickled):
        members = members_of("cifar10", pickled)
        del members[member]
        publish("cifar10", pickled, members=members)
        lacking = f"{folder_of(pickled)}/{member}"
        assert refusal("cifar10", tmp_path) == f"`archive` ({path}) must be whole, but has no {lacking}"


def folder_of(pickled):
    return "cifar-10-batches-py" if pickled else "cifar-10-batches-bin"


@pytest.mark.parametrize("pickled, name", [(True, "data_batch_3"), (False, "data_batch_3.bin")])
def test_a_member_that_is_too_large_or_no_file(publish, tmp_path, pickled, name):
    publish("cifar10", pickled, change={name: bytes(2 * (3072 + 128) + 4096 + 1)})
    assert f"{name} has 10497 bytes, more than 10496" in refusal("cifar10", tmp_path)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        link = tarfile.TarInfo(f"{folder_of(pickled)}/{name}")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    publish("cifar10", pickled, content=content.getvalue())
    assert f"must be of plain files, but {folder_of(pickled)}/{name} is none" in refusal("cifar10", tmp_path)


@pytest.mark.parametrize("label, shown", [(10, "10"), (200, "200"), (-1, "-1")])
def test_a_label_out_of_range(publish, tmp_path, label, shown):
    batch = {"labels": [0, label], "data": ROWS[:2]}
    path = publish("cifar10", True, change={"data_batch_2": old_pickle(batch)})
    where = f"number 1 of labels in data_batch_2 of {path}"
    assert refusal("cifar10", tmp_path) == f"`label` ({shown}) must be in 0..9: {where}"
    path.unlink()
    if label >= 0:
        publish("cifar10", False, change={"data_batch_2.bin": np.c_[np.uint8([0, label]), ROWS[:2]].tobytes()})
        assert refusal("cifar10", tmp_path).startswith(f"`label` ({shown}) must be in 0..9: number 1 of labels in ")


def test_each_kind_of_label_has_its_own_range(publish, tmp_path):
    publish("cifar100", False, change={"test.bin": np.c_[np.uint8([20] * 4), np.uint8([5] * 4), ROWS[:4]].tobytes()})
    assert catalog.load("cifar100", tmp_path).test["label"].tolist() == [5] * 4
    text = refusal("cifar100-coarse", tmp_path)
    assert "`label` (20) must be in 0..19: number 0 of coarse_labels in test.bin" in text


@pytest.mark.parametrize("batch, why", [
    ([1, 2], "a dictionary with data and labels"),
    ({"data": ROWS[:2]}, "a dictionary with data and labels"),
    ({"data": ROWS[:3], "labels": [0, 1]}, "of data that is uint8 [2, 3072]"),
    ({"data": [0, 1], "labels": [0, 1]}, "of data that is uint8 [2, 3072]"),
    ({"data": ROWS[:2], "labels": [0]}, "of 2 labels that are whole numbers"),
    ({"data": ROWS[:2], "labels": ["0", "1"]}, "of 2 labels that are whole numbers"),
])
def test_unfit_batches(publish, tmp_path, batch, why):
    path = publish("cifar10", True, change={"data_batch_4": old_pickle(batch)})
    assert refusal("cifar10", tmp_path) == f"`file` (data_batch_4 of {path}) must be {why}"


@pytest.mark.parametrize("names", [TEN[:9], [*TEN[:9], "airplane"], [*TEN[:9], 1], [*TEN[:9], ""], "truck"])
def test_unfit_names(publish, tmp_path, names):
    path = publish("cifar10", True, change={"batches.meta": old_pickle({"label_names": names})})
    assert refusal("cifar10", tmp_path) == f"`file` (batches.meta of {path}) must be of 10 names of classes"
    publish("cifar10", True, change={"batches.meta": old_pickle({"names": TEN})})
    assert "must be a dictionary with label_names" in refusal("cifar10", tmp_path)
    path.unlink()
    publish("cifar10", False, change={"batches.meta.txt": b"airplane\nautomobile\n"})
    assert "must be of 10 names of classes" in refusal("cifar10", tmp_path)


def test_records_of_another_size(publish, tmp_path):
    publish("cifar10", False, change={"test_batch.bin": bytes(3073 * 3)})
    assert "must be of 4 records of 3073 bytes, but has 9219" in refusal("cifar10", tmp_path)


class Hostile:
    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize("member", ["data_batch_1", "test_batch", "batches.meta"])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_hostile_pickle_is_refused_and_not_run(publish, tmp_path, member, protocol):
    target = tmp_path / "was here"
    calls = [Hostile(os.system, f"touch '{target}'"), Hostile(exec, f"open({str(target)!r}, 'w')"),
             Hostile(Path.touch, target), Hostile(np.load, "x.npy", None, True)]
    for call in calls:
        for value in (call, {"data": call, "labels": [0, 1]}):
            publish("cifar10", True, change={member: pickle.dumps(value, protocol=protocol)})
            assert f"({member} of " in refusal("cifar10", tmp_path)
            assert not target.exists()


def test_a_damaged_pickle(publish, tmp_path):
    whole = members_of("cifar10", True)["data_batch_1"]
    for damaged in (whole[:-500], b"", b"garbage", whole[:2] + b"\xff" + whole[3:]):
        publish("cifar10", True, change={"data_batch_1": damaged})
        assert "(data_batch_1 of " in refusal("cifar10", tmp_path)


def test_the_known_sums_are_those_of_keras():
    keras = pytest.importorskip("keras.src.datasets")
    for name, file in (("cifar10", "cifar10.py"), ("cifar100", "cifar100.py")):
        source = (Path(keras.__path__[0]) / file).read_text()
        assert cifar.ARCHIVES[name][1].sha256 in source and cifar.ARCHIVES[name][1].file in source
