"""Arrays of one's own: every layout that is read, and one line for whatever is not."""

import zipfile

import numpy as np
import pytest

from engine.data import catalog
from engine.errors import Invalid

DRAW = np.random.default_rng(0)
IMAGES = DRAW.integers(0, 256, (20, 5, 4, 3)).astype(np.uint8)
LABELS = np.arange(20) % 4
PARTED = {"x_train": IMAGES[:12], "y_train": LABELS[:12], "x_test": IMAGES[12:], "y_test": LABELS[12:]}
WHOLE = {"image": IMAGES, "label": LABELS}


@pytest.fixture(params=["file", "folder of one file", "folder of arrays"])
def store(request, tmp_path):
    """``store(arrays)`` writes them and returns the ``data_dir``."""
    def write(arrays):
        if request.param == "folder of arrays":
            for name, array in arrays.items():
                np.save(tmp_path / f"{name}.npy", array)
            return tmp_path
        np.savez_compressed(tmp_path / "mine.npz", **arrays)
        return tmp_path / "mine.npz" if request.param == "file" else tmp_path
    return write


def refusal(data_dir, **options):
    with pytest.raises(Invalid) as caught:
        catalog.load("npz", data_dir, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_parted_arrays(store):
    data = catalog.load("npz", store({**PARTED, "other": np.zeros(3)}))
    np.testing.assert_array_equal(data.train["image"], IMAGES[:12])
    np.testing.assert_array_equal(data.test["image"], IMAGES[12:])
    assert data.train["label"].tolist() == LABELS[:12].tolist() and data.train["label"].dtype == np.int32
    assert data.name == "npz" and data.classes == ("0", "1", "2", "3") and data.train["image"].dtype == np.uint8


def test_grey_pictures_and_labels_in_a_column(store):
    data = catalog.load("npz", store({"x_train": IMAGES[:12, ..., 0], "y_train": LABELS[:12, None].astype(np.uint8),
                                      "x_test": IMAGES[12:, ..., :1], "y_test": LABELS[12:, None]}))
    assert data.train["image"].shape == (12, 5, 4, 1) and data.test["image"].shape == (8, 5, 4, 1)
    assert data.train["label"].tolist() == LABELS[:12].tolist()


@pytest.mark.parametrize("split", [np.arange(20) % 5 == 4, (np.arange(20) % 5 == 4).astype(np.int64),
                                   np.where(np.arange(20) % 5 == 4, "test", "train")])
def test_a_split_array(store, split):
    data = catalog.load("npz", store({**WHOLE, "split": split, "classes": np.array(["a", "b", "c", "d", "e"])}))
    np.testing.assert_array_equal(data.test["image"], IMAGES[4::5])
    assert data.test["label"].tolist() == LABELS[4::5].tolist() and len(data.train["label"]) == 16
    assert data.classes == ("a", "b", "c", "d", "e")


def test_without_a_split_a_seeded_fraction_of_each_class_is_held_out(store):
    data_dir = store(WHOLE)
    data = catalog.load("npz", data_dir, held_out=0.4, seed=1)
    assert np.bincount(data.test["label"]).tolist() == [2] * 4
    found = np.concatenate([data.train["image"], data.test["image"]])
    assert sorted(map(bytes, found)) == sorted(map(bytes, IMAGES))
    np.testing.assert_array_equal(data.test["image"], catalog.load("npz", data_dir, held_out=0.4, seed=1).test["image"])
    assert (data.test["image"] != catalog.load("npz", data_dir, held_out=0.4, seed=2).test["image"]).any()
    assert refusal(data_dir, held_out=1.5) == "`fraction` (1.5) must be above 0 and below 1"


@pytest.mark.parametrize("arrays, text", [
    ({"image": IMAGES}, r"but has image"),
    ({"label": LABELS}, r"must be of the arrays x_train, y_train, x_test, y_test, or image and label, but has label"),
    ({**WHOLE, "image": IMAGES.astype(np.float32)},
     "`image` (float32 [20, 5, 4, 3]) must be uint8 [N, h, w] or [N, h, w, c] with 1 or 3 channels"),
    ({**WHOLE, "image": IMAGES[:, 0, 0]}, "`image` (uint8 [20, 3]) must be uint8 [N, h, w]"),
    ({**WHOLE, "image": IMAGES.transpose(0, 3, 1, 2)}, "`image` (uint8 [20, 3, 5, 4]) must be"),
    ({**WHOLE, "image": IMAGES[:0]}, "`image` (uint8 [0, 5, 4, 3]) must be"),
    ({**WHOLE, "label": LABELS[:7]}, "`label` (int64 [7]) must be integers [20], one for each picture"),
    ({**WHOLE, "label": LABELS + 0.5}, "`label` (float64 [20]) must be integers [20]"),
    ({**WHOLE, "label": np.eye(4, dtype=int)[LABELS]}, "`label` (int64 [20, 4]) must be integers [20]"),
    ({**WHOLE, "label": LABELS - 1}, "`label` (-1) must be at least 0"),
    ({**WHOLE, "label": LABELS + 2**40}, f"`label` ({2**40 + 3}) must be below 2^31"),
    ({**WHOLE, "label": LABELS * 100}, "`label` (300) must be below the number of pictures to train on, 16"),
    ({**WHOLE, "classes": np.array(["a", "b"])}, "`label` (3) must be in 0..1, as there are 2 classes"),
    ({**WHOLE, "classes": np.arange(4)}, "`classes` (int64 [4]) must be text [K]"),
    ({**WHOLE, "split": np.zeros(19, int)}, "`split` ([19]) must be [20], one for each picture"),
    ({**WHOLE, "split": np.arange(20)}, "`split` ([0, 1, 2, 3, 4]) must be of 0 and 1, or of train and test"),
    ({**WHOLE, "split": np.zeros(20)}, "`split` ([0.0]) must be of 0 and 1"),
    ({**WHOLE, "split": np.zeros(20, int)}, "`split` (20 to train on, 0 to test) must be of at least one of each"),
    ({**PARTED, "x_test": IMAGES[12:, :3]}, "`x_test` (pictures of (3, 4, 3)) must be of x_train's shape, (5, 4, 3)"),
    ({**PARTED, "y_test": LABELS}, "`y_test` (int64 [20]) must be integers [8], one for each picture"),
])
def test_unfit_arrays(store, arrays, text):
    assert text in refusal(store(arrays))


def test_pickled_arrays_are_refused_and_not_run(store, tmp_path):
    class Hostile:
        def __reduce__(self):
            return open, (str(tmp_path / "was here"), "w")

    text = refusal(store({**WHOLE, "label": np.array([Hostile()], object)}))
    assert "must be of intact arrays, free of pickles: Object arrays cannot be loaded" in text
    assert not (tmp_path / "was here").exists()


def test_damaged_files(tmp_path):
    np.savez(tmp_path / "mine.npz", **WHOLE)
    whole = (tmp_path / "mine.npz").read_bytes()
    flipped = bytearray(whole)
    flipped[600] ^= 255
    for content in (whole[:-200], whole[:50], b"", b"text", bytes(flipped)):
        (tmp_path / "mine.npz").write_bytes(content)
        assert refusal(tmp_path).startswith("`data_dir` (")
    (tmp_path / "mine.npz").unlink()
    np.save(tmp_path / "label.npy", LABELS)
    for content in (b"", b"\x93NUMPY", b"text"):
        (tmp_path / "image.npy").write_bytes(content)
        assert "must be of intact arrays, free of pickles: " in refusal(tmp_path)


def test_a_false_header_is_one_line(tmp_path):
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (9999999999999999,), }"
    false = b"\x93NUMPY\x01\x00\x76\x00" + header.ljust(117) + b"\n"
    with zipfile.ZipFile(tmp_path / "mine.npz", "w") as archive:
        archive.writestr("image.npy", false + b"abc")
    assert "must be of intact arrays" in refusal(tmp_path)


def test_no_place_no_file_too_many_files(tmp_path):
    rule = "must be an .npz file, or a folder of .npy files, that exists"
    assert refusal(None) == f"`data_dir` (None) {rule}"
    assert refusal(tmp_path / "no") == f"`data_dir` ({tmp_path / 'no'}) {rule}"
    assert refusal(tmp_path).endswith("but has none of them")
    for name in ("a", "b"):
        np.savez(tmp_path / f"{name}.npz", **WHOLE)
    assert "must be a folder of one .npz file, but has 2" in refusal(tmp_path)
