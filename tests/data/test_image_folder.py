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
    assert not listing.left_out


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
    assert listing.classes == ("a", "b")
    assert listing.left_out == {"hidden": 3, ".txt": 1, ".md": 1, ".csv": 1}  # .hidden as one


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
    ([], r"`path` \(.*root\) must be a folder with pictures \(.bmp, .gif, .jfif, [^)]*\) or with a folder per"),
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
    (root / "b" / "003.png").write_bytes(b"%PDF-1.7 and so on")
    return root


def test_bad_files_are_named_once_and_skipped(tmp_path, capfd):
    found = image_folder(broken(class_folder(tmp_path, {"a": 100, "b": 100}, 4, 4)), (4, 4))
    assert len(found.skipped) == 2
    assert capfd.readouterr().err.splitlines() == [f"skipped: {line}" for line in found.skipped]
    assert "a/007.png) must be readable and intact: " in found.skipped[0]
    assert found.skipped[1].endswith("b/003.png) must be a JPEG, PNG, GIF, BMP, WebP or TIFF, but is a PDF")
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


def test_a_split_folder_is_read_by_its_parts(tmp_path):
    for part, size in (("train", 6), ("val", 2), ("test", 4)):
        class_folder(tmp_path / part, {"ant": size, "bee": size})
    found = image_folder(tmp_path, (4, 4))
    assert found.classes == ("ant", "bee")
    assert {part: found.size(part) for part in found.parts} == {"train": 12, "validation": 4, "test": 8}
    for part, folder in (("train", "train"), ("validation", "val"), ("test", "test")):
        assert {found.files[n].parents[1].name for n in found.parts[part]} == {folder}
    held = image_folder(tmp_path, (4, 4), validation=0.5)
    assert {part: held.size(part) for part in held.parts} == {"train": 6, "test": 6}


def test_without_a_test_part_the_validation_is_held_out(tmp_path):
    for part, size in (("Training", 6), ("valid", 2)):
        class_folder(tmp_path / part, {"ant": size, "bee": size})
    found = image_folder(tmp_path, (4, 4))
    assert {part: found.size(part) for part in found.parts} == {"train": 12, "test": 4}


@pytest.mark.parametrize("folders, text", [
    (["train/a", "train/b", "test/a", "test/c"], r"`folder` \(.*test\) must be of the classes of train, a, b; they "
                                                 "differ in b, c"),
    (["train/a", "test/a", "extra/a"], r"`folder` \(.*\) must be split into parts or a folder of classes, but has "
                                       "test, train and extra"),
    (["train/a", "val/a", "valid/a"], "must be of one folder for each part, but has train, val, valid"),
    (["train/a", "train/b"], "must be split into parts, but has train alone: give .*train itself"),
])
def test_a_split_that_is_none_is_refused(tmp_path, folders, text):
    for folder in folders:
        save(tmp_path / folder / "1.png", noise(0))
    with pytest.raises(Invalid, match=text):
        image_folder(tmp_path, (4, 4))


def test_thumbnails_of_other_systems_are_no_class_and_two_classes_are_two_folders(tmp_path):
    class_folder(tmp_path, {"ant": 2, "bee": 2, "@eaDir": 1, "ant/@eaDir": 1, "__MACOSX": 1})
    assert scan(tmp_path).classes == ("ant", "bee") and len(scan(tmp_path).files) == 4
    (tmp_path / "wasp").symlink_to(tmp_path / "bee")
    with pytest.raises(Invalid, match=r"`path` \(.*wasp\) must be another folder than the class bee, but is a link"):
        scan(tmp_path)


def test_pictures_of_every_format_are_read_and_the_rest_is_counted_by_ending(tmp_path):
    for number, ending in enumerate(("png", "jpg", "jfif", "webp", "tif", "TIFF", "bmp", "gif")):
        save(tmp_path / "a" / f"{number}.png", noise(number))
        kind = {"jpg": "JPEG", "jfif": "JPEG", "tif": "TIFF", "TIFF": "TIFF"}.get(ending, ending.upper())
        Image.fromarray(noise(number)).save(tmp_path / "a" / f"of-{number}.{ending}", format=kind)
        save(tmp_path / "b" / f"{number}.png", noise(number))
    for name in ("a/1.heic", "a/2.heic", "b/notes.txt", "b/README"):
        (tmp_path / name).write_text("x")
    found = image_folder(tmp_path, (12, 10))
    assert len(found.files) == 24 and not found.skipped
    assert found.left_out == {".heic": 2, ".txt": 1, "no ending": 1}
    lossless = {file.suffix: decode(file, found.form) for file in found.files if file.stem in ("of-3", "of-4", "of-5")}
    np.testing.assert_array_equal(lossless[".tif"], noise(4))
    np.testing.assert_array_equal(lossless[".TIFF"], noise(5))


def test_a_large_colour_profile_is_no_damage(tmp_path):
    profile = np.random.default_rng(0).bytes(3_000_000)
    Image.fromarray(noise(0)).save(tmp_path / "1.png", icc_profile=profile)
    np.testing.assert_array_equal(decode(tmp_path / "1.png", Form((12, 10))), noise(0))
