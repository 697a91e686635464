"""A folder of pictures: what is found, what is named and skipped, and how it is parted."""

import numpy as np
import pytest
from PIL import Image

from engine.data.image_file import Form, decode
from engine.data.image_folder import image_folder
from engine.data.image_listing import scan
from engine.errors import Invalid
from tests.painted import class_folder, cut, noise, save


def names(listing, root):
    return [str(file.relative_to(root)) for file in listing.files]


def test_a_folder_per_class_sorted_by_name(tmp_path):
    for name in ("b/2.png", "b/10.JPG", "B/x.gif", "a/deep/er/1.bmp", "a/0.jpeg"):
        save(tmp_path / name, noise(0))
    listing = scan(tmp_path)
    assert listing.classes == ("B", "a", "b")  # by code point, in every locale
    assert names(listing, tmp_path) == ["B/x.gif", "a/0.jpeg", "a/deep/er/1.bmp", "b/10.JPG", "b/2.png"]
    assert listing.labels.tolist() == [0, 1, 1, 2, 2] and listing.labels.dtype == np.int32
    assert listing.ignored == 0


def test_a_flat_folder_is_one_class_of_its_name(tmp_path):
    for name in ("2.png", "1.png"):
        save(tmp_path / "shoes" / name, noise(0))
    listing = scan(str(tmp_path / "shoes"))
    assert names(listing, tmp_path) == ["shoes/1.png", "shoes/2.png"]
    assert listing.classes == ("shoes",) and listing.labels.tolist() == [0, 0]


def test_hidden_and_foreign_entries_are_counted_and_left_out(tmp_path):
    class_folder(tmp_path, {"a": 2, "b": 1, ".hidden": 4})
    for name in ("readme.txt", "a/.DS_Store", "a/notes.md", "b/deep/x.csv", "b/.x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text")
    listing = scan(tmp_path)
    assert names(listing, tmp_path) == ["a/000.png", "a/001.png", "b/000.png"]
    assert listing.classes == ("a", "b") and listing.ignored == 6  # with .hidden as one


def test_links_are_followed_and_loops_are_cut(tmp_path):
    root = class_folder(tmp_path / "root", {"a": 1, "b": 1})
    save(tmp_path / "elsewhere" / "1.png", noise(0))
    (root / "c").symlink_to(tmp_path / "elsewhere")
    (root / "a" / "up").symlink_to(root)
    (root / "a" / "self").symlink_to(root / "a")
    (root / "a" / "broken.png").symlink_to(root / "nowhere")
    (root / "a" / "endless.png").symlink_to(root / "a" / "endless.png")
    (root / "again").symlink_to(root)
    listing = scan(root)
    assert names(listing, root) == ["a/000.png", "b/000.png", "c/1.png"]
    assert listing.classes == ("a", "b", "c")


@pytest.mark.parametrize("given, text", [
    ([], r"`path` \(.*root\) must be a folder with pictures \(.bmp, .gif, .jpeg, .jpg, .png\) or with a folder per"),
    (["note.txt"], r"`path` \(.*root\) must be a folder with pictures"),
    (["a/1.png", "b/note.txt"], r"`path` \(.*root/b\) must be a class folder with at least one picture"),
    (["a/1.png", "2.png"], r"`path` \(.*root\) must be a folder of pictures or of class folders, but has both: 2"),
])
def test_unfit_folders(tmp_path, given, text):
    root = tmp_path / "root"
    root.mkdir()
    for name in given:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()
    with pytest.raises(Invalid, match=f"^{text}[^\n]*$"):
        image_folder(root, (4, 4))


def test_no_folder(tmp_path):
    (tmp_path / "file").touch()
    for name in ("none", "file"):
        with pytest.raises(Invalid, match=rf"^`path` \(.*{name}\) must be a folder that exists$"):
            image_folder(tmp_path / name, (4, 4))


def test_parts_are_disjoint_and_even_over_the_classes(tmp_path):
    root = class_folder(tmp_path, {"a": 20, "b": 10})
    found = image_folder(root, (4, 4), validation=0.2, seed=1)
    assert [np.bincount(found.labels[found.parts[part]]).tolist() for part in ("train", "test")] == [[16, 8], [4, 2]]
    assert sorted(np.concatenate([*found.parts.values()])) == list(range(30))
    other = image_folder(root, (4, 4), validation=0.2, seed=2)
    assert found.parts["test"].tolist() != other.parts["test"].tolist()
    whole = image_folder(root, (4, 4), validation=0)
    assert whole.parts["train"].tolist() == list(range(30)) and len(whole.parts["test"]) == 0


def test_arrays_are_the_decoded_files(tmp_path):
    found = image_folder(class_folder(tmp_path, {"a": 4, "b": 4}), (5, 6), channels=1, fit="pad", validation=0.25)
    for part, size in (("train", 6), ("test", 2)):
        arrays = found.arrays(part)
        assert arrays["image"].dtype == np.uint8 and arrays["label"].dtype == np.int32
        assert arrays["image"].shape == (size, 5, 6, 1)
        for image, label, number in zip(arrays["image"], arrays["label"], found.parts[part], strict=True):
            np.testing.assert_array_equal(image, decode(found.files[number], Form((5, 6), 1, "pad")))
            assert found.files[number].parent.name == found.classes[label]


def test_options(tmp_path):
    root = class_folder(tmp_path, {"a": 2})
    found = image_folder(root, (4, 4))
    with pytest.raises(Invalid, match=r"^`part` \(valid\) must be one of train, test$"):
        found.source("valid", 1)
    with pytest.raises(Invalid, match=r"^`batch_size` \(2\) must be at most the number of examples, 1$"):
        found.source("train", 2)
    for validation in (-0.1, 1):
        with pytest.raises(Invalid, match=rf"^`validation` \({validation}\) must be at least 0 and below 1$"):
            image_folder(root, (4, 4), validation=validation)


def broken(root):
    """Two bad files of different kinds."""
    cut(root / "a" / "007.png")
    Image.fromarray(noise(0)).save(root / "b" / "003.png", format="TIFF")
    return root


def test_bad_files_are_named_once_and_skipped(tmp_path, capfd):
    found = image_folder(broken(class_folder(tmp_path, {"a": 100, "b": 100}, 4, 4)), (4, 4))
    assert len(found.skipped) == 2
    assert capfd.readouterr().err.splitlines() == [f"skipped: {line}" for line in found.skipped]
    assert "a/007.png) must be readable and intact: " in found.skipped[0]
    assert found.skipped[1].endswith("b/003.png) must be a JPEG, PNG, GIF or BMP, but is a TIFF")
    used = {found.files[number].name for number in np.concatenate([*found.parts.values()])
            if found.files[number].parent.name == "a"}
    assert sum(map(len, found.parts.values())) == 198 and "007.png" not in used


def test_strict_stops_at_the_first_bad_file(tmp_path):
    root = broken(class_folder(tmp_path, {"a": 100, "b": 100}, 4, 4))
    with pytest.raises(Invalid, match=r"^`picture` \(.*a/007.png\) must be readable and intact: [^\n]*$"):
        image_folder(root, (4, 4), strict=True)


def test_more_than_one_in_a_hundred_bad_stops_with_the_list(tmp_path):
    root = broken(class_folder(tmp_path, {"a": 100, "b": 99}, 4, 4))
    with pytest.raises(Invalid, match=r"^`pictures` \(2 of 199 are bad\) must be good to 99 % at least: "
                                      r"[^\n]*a/007.png[^\n]*b/003.png[^\n]*$"):
        image_folder(root, (4, 4))


def test_a_long_list_is_cut(tmp_path):
    root = class_folder(tmp_path, {"a": 30}, 4, 4)
    for file in (root / "a").iterdir():
        file.write_bytes(b"")
    with pytest.raises(Invalid, match=r"30 of 30 are bad.*a/019.png\) [^;]*; and 10 more$"):
        image_folder(root, (4, 4))


def test_a_class_without_a_good_picture(tmp_path):
    root = class_folder(tmp_path, {"a": 100, "b": 1}, 4, 4)
    cut(root / "b" / "000.png")
    with pytest.raises(Invalid, match=r"^`path` \(.*/b\) must be a class with at least one good picture$"):
        image_folder(root, (4, 4))
