"""Keras's imdb.npz, in its true form: read without unpickling anything but lists and numbers."""

import io
import json
import os
import pickle
import zipfile

import numpy as np
import pytest

from engine.data import imdb
from engine.data.imdb import imdb_npz
from engine.errors import Invalid

REVIEWS = {"train": [[2, 1, 9], [3], [1, 1]], "test": [[4, 2], [1, 7]]}
LABELS = {"train": [0, 1, 1], "test": [1, 0]}
INDEX = {"the": 1, "good": 2, "bad": 3, "isn't": 4}


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def objects(values):
    array = np.empty(len(values), object)
    array[:] = values
    return array


def arrays(reviews=REVIEWS, **changed):
    made = {name: array for part in reviews for name, array in (
        (f"x_{part}", objects(reviews[part])), (f"y_{part}", np.array(LABELS[part])))}
    return {**made, **changed}


def file_of(folder, content=None, index=None):
    path = folder / "imdb.npz"
    np.savez_compressed(path, **(arrays() if content is None else content))
    if index is not None:
        (folder / imdb.WORDS).write_text(json.dumps(index))
    return path


def refusal(path):
    with pytest.raises(Invalid) as caught:
        imdb_npz(path)
    text = str(caught.value)
    assert text.startswith(f"`file` ({path}) must be ") and "\n" not in text
    return text


def test_words_of_the_index(tmp_path):
    corpus = imdb_npz(file_of(tmp_path, index=INDEX))
    assert corpus.train.texts == ["good the [?]", "bad", "the the"]
    assert corpus.test.texts == ["isn't good", "the [?]"]
    assert corpus.train.labels.tolist() == LABELS["train"] and corpus.test.labels.tolist() == LABELS["test"]
    assert corpus.train.labels.dtype == np.int32 and corpus.classes == ("negative", "positive")


def test_without_the_index_numbers_stand_for_words(tmp_path):
    corpus = imdb_npz(file_of(tmp_path))
    assert corpus.train.texts == ["word2 word1 word9", "word3", "word1 word1"]


def test_what_load_data_gives_is_the_same_corpus(tmp_path):
    # 1 is the start, 2 an unknown word, and every word's number is larger by 3.
    moved = {part: [[1] + [number + 3 if number < 7 else 2 for number in review] for review in reviews]
             for part, reviews in REVIEWS.items()}
    corpus = imdb_npz(file_of(tmp_path, arrays(moved), INDEX))
    assert corpus.train.texts == ["good the [?]", "bad", "the the"]
    assert corpus.test.texts == ["isn't good", "the [?]"]
    (tmp_path / imdb.WORDS).unlink()
    assert imdb_npz(tmp_path / "imdb.npz").train.texts == ["word2 word1 [?]", "word3", "word1 word1"]


def test_a_file_by_an_old_numpy(tmp_path):
    # As NumPy 1 wrote it: protocol 2, and the module's former name.
    path = tmp_path / "imdb.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays().items():
            stream = io.BytesIO()
            np.save(stream, array[:0], allow_pickle=True)
            if name.startswith("x"):
                stream = io.BytesIO()
                np.lib.format.write_array_header_1_0(
                    stream, {"descr": "|O", "fortran_order": False, "shape": array.shape})
                stream.write(pickle.dumps(array, 2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
            else:
                stream = io.BytesIO()
                np.save(stream, array)
            archive.writestr(f"{name}.npy", stream.getvalue())
    assert imdb_npz(path).train.texts == ["word2 word1 word9", "word3", "word1 word1"]


def test_a_hostile_file_is_refused_and_not_run(tmp_path):
    made = tmp_path / "made"
    path = file_of(tmp_path, arrays(x_train=objects([[1, 2], [3], Hostile(str(made))])))
    text = refusal(path)
    assert "a harmless pickle" in text and "mkdir" in text
    assert not made.exists()


def test_truncated_and_damaged_files(tmp_path):
    many = {part: [list(range(1, 2000))] * 60 for part in REVIEWS}
    content = {f"x_{part}": objects(many[part]) for part in many} | {
        f"y_{part}": np.arange(60) % 2 for part in many}
    path = file_of(tmp_path, content)
    whole = path.read_bytes()
    path.write_bytes(whole[:-200])
    assert "a readable, intact .npz file: File is not a zip file" in refusal(path)
    middle = len(whole) // 4
    path.write_bytes(whole[:middle] + bytes(byte ^ 0x55 for byte in whole[middle:middle + 50]) + whole[middle + 50:])
    refusal(path)
    path.write_bytes(b"")
    assert "a readable, intact .npz file" in refusal(path)
    path.unlink()
    assert "a readable, intact .npz file: No such file" in refusal(path)


@pytest.mark.parametrize("changed, text", [
    ({"x_train": np.arange(3)}, "of reviews that are lists of numbers"),
    ({"x_train": objects([[1], [2], 3])}, "of reviews that are lists of numbers"),
    ({"x_train": objects([[1], [2], []])}, "of reviews that are lists of numbers"),
    ({"x_train": objects([[1], [2], [0.5]])}, "of reviews of whole numbers alone"),
    ({"x_train": objects([[1], [2], ["a"]])}, "of reviews of whole numbers alone"),
    ({"x_train": objects([[1], [2], [-1]])}, "of reviews of numbers from 0 up"),
    ({"y_train": np.array([0, 1])}, "of one label, 0 or 1, for each of the 3 reviews"),
    ({"y_train": np.array([0, 1, 2])}, "of one label, 0 or 1, for each of the 3 reviews"),
    ({"y_train": np.array([1, 1, 1])}, "of one label, 0 or 1, for each of the 3 reviews of a part, and of both"),
    ({"y_train": np.array([0.0, 1, 1])}, "of one label, 0 or 1, for each of the 3 reviews"),
    ({"y_train": np.array([[0, 1, 1]])}, "of arrays [N], but y_train.npy has the shape (1, 3)"),
])
def test_wrong_arrays(tmp_path, changed, text):
    assert text in refusal(file_of(tmp_path, arrays(**changed)))


def test_missing_arrays_and_false_headers(tmp_path, monkeypatch):
    path = file_of(tmp_path, {name: array for name, array in arrays().items() if name != "y_test"})
    assert "of the arrays x_train, y_train, x_test, y_test; lacks y_test" in refusal(path)
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<i8", "fortran_order": False, "shape": (10**12,)})
    path = file_of(tmp_path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {**members, "y_train.npy": stream.getvalue() + b"\0" * 24}.items():
            archive.writestr(name, data)
    assert "of as many values as declared, 1000000000000 in y_train.npy" in refusal(path)
    monkeypatch.setattr(imdb, "LARGEST", 100)
    assert "of arrays of at most 100 bytes, but x_train.npy has" in refusal(file_of(tmp_path))


@pytest.mark.parametrize("content, text", [
    (b'{"the": 1', "must be JSON: "), (b"[1, 2]", "must be of words and their numbers"),
    (b'{"the": "1"}', "must be of words and their numbers"), (b"{}", "must be of words and their numbers"),
    (b'{"caf\xe9": 1}', "must be UTF-8, but has the byte e9 in line 1, at 5"),
    (b"[" * 100_000, "must be JSON: "),
])
def test_a_wrong_index(tmp_path, content, text):
    path = file_of(tmp_path)
    (tmp_path / imdb.WORDS).write_bytes(content)
    with pytest.raises(Invalid, match=rf"^`file` \({tmp_path / imdb.WORDS}\) {text}"):
        imdb_npz(path)


def test_where_it_is_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(Invalid, match=rf"`data_dir` \({tmp_path}/datasets\) must be a folder with Keras's imdb.npz"):
        imdb.find()
    (tmp_path / "datasets").mkdir()
    path = file_of(tmp_path / "datasets")
    assert imdb.find() == path == imdb.find(tmp_path / "datasets")
    with pytest.raises(Invalid, match=rf"`data_dir` \({tmp_path}\) must be a folder with"):
        imdb.find(tmp_path)
    with pytest.raises(Invalid, match=r"`data_dir` \(/none\) must be a folder that exists"):
        imdb.find("/none")
