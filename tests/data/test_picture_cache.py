"""The cache of decoded pictures: the same bits, made anew when anything changed, whole or not there."""

import os
import resource

import numpy as np
import pytest

from engine.data import picture_files
from engine.data.image_folder import image_folder
from engine.errors import Invalid
from tests.painted import class_folder, cut, noise, save


@pytest.fixture
def root(tmp_path):
    return class_folder(tmp_path / "root", {"a": 101, "b": 3}, 4, 4)


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "pictures.npy"


@pytest.fixture
def decoded(monkeypatch):
    """The paths of the files that are decoded from now on."""
    paths, decode = [], picture_files.decode

    def counted(path, form):
        paths.append(path)
        return decode(path, form)

    monkeypatch.setattr(picture_files, "decode", counted)
    return paths


def content(folder):
    return [folder.arrays(part)[name] for part in ("train", "test") for name in ("image", "label")]


def same(left, right):
    for one, other in zip(content(left), content(right), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_the_cache_has_the_bits_of_decoding_and_is_read_without_it(root, cache, decoded):
    plain = image_folder(root, (4, 3))
    first = image_folder(root, (4, 3), cache=cache)
    decoded.clear()
    again = image_folder(root, (4, 3), cache=str(cache))
    assert type(again.arrays("test")["image"]) is np.ndarray
    same(first, again)
    assert not decoded
    same(plain, again)
    assert sorted(os.listdir(cache.parent)) == [cache.name, "root"]


def test_bad_files_are_named_on_every_run(root, cache, decoded, capfd):
    bad = cut(root / "a" / "007.png")
    first = image_folder(root, (4, 4), cache=cache)
    assert len(first.skipped) == 1 and capfd.readouterr().err.count("skipped: ") == 1
    decoded.clear()
    again = image_folder(root, (4, 4), cache=cache)
    assert again.skipped == first.skipped and capfd.readouterr().err.count("skipped: ") == 1
    assert decoded == [bad]
    same(first, again)
    same(again, image_folder(root, (4, 4)))
    with pytest.raises(Invalid, match=r"a/007\.png"):
        image_folder(root, (4, 4), cache=cache, strict=True)


def changed_picture(root):
    save(root / "a" / "001.png", noise(77, 4, 4))


def changed_time(root):
    save(root / "a" / "001.png", 255 - noise(1, 4, 4))
    os.utime(root / "a" / "001.png", ns=(1, 1))


def one_more(root):
    save(root / "b" / "900.png", noise(78, 4, 4))


def one_less(root):
    (root / "a" / "001.png").unlink()


def renamed(root):
    (root / "a" / "001.png").rename(root / "a" / "999.png")


@pytest.mark.parametrize("change", [changed_picture, changed_time, one_more, one_less, renamed])
def test_a_changed_folder_makes_the_cache_anew(root, cache, change):
    before = image_folder(root, (4, 4), cache=cache)
    change(root)
    after = image_folder(root, (4, 4), cache=cache)
    same(after, image_folder(root, (4, 4)))
    assert any(one.tobytes() != other.tobytes() for one, other in zip(content(before), content(after), strict=True))


def test_a_changed_form_makes_the_cache_anew(root, cache):
    for options in ({"size": (4, 4)}, {"size": (2, 8)}, {"size": (2, 8), "channels": 1},
                    {"size": (2, 8), "channels": 1, "fit": "pad"}):
        same(image_folder(root, cache=cache, **options), image_folder(root, **options))


@pytest.mark.parametrize("fraction", [0, 0.005, 0.02, 0.5, 0.999])
def test_a_cache_cut_short_is_made_anew(root, cache, fraction):
    image_folder(root, (4, 4), cache=cache)
    whole = cache.read_bytes()
    cut(cache, fraction)
    if 0 < fraction * len(whole) < 100:  # nothing tells any more that it was ours
        with pytest.raises(Invalid, match="this is neither"):
            image_folder(root, (4, 4), cache=cache)
        return
    same(image_folder(root, (4, 4), cache=cache), image_folder(root, (4, 4)))
    assert cache.read_bytes() == whole


def test_no_other_file_is_overwritten(root, cache):
    np.save(cache, np.arange(5))
    before = cache.read_bytes()
    with pytest.raises(Invalid, match=r"^`cache` \(.*pictures.npy\) must be a new file or a cache of pictures: this"):
        image_folder(root, (4, 4), cache=cache)
    assert cache.read_bytes() == before
    with pytest.raises(Invalid, match="this is neither"):
        image_folder(root, (4, 4), cache=root)
    with pytest.raises(Invalid, match=r"^`cache` \(.*\) must be a file in a folder that exists$"):
        image_folder(root, (4, 4), cache=cache.parent / "none" / "x.npy")


def test_a_full_disk_leaves_what_was_there(root, cache):
    image_folder(root, (4, 4), cache=cache)
    before, limits = cache.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # writing more fails as on a full disk
    try:
        with pytest.raises(Invalid, match=r"^`cache` \(.*\) must be writable with 1\.2 MiB: File too large$"):
            image_folder(root, (64, 64), cache=cache)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert cache.read_bytes() == before and sorted(os.listdir(cache.parent)) == [cache.name, "root"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_reading_leaves_nothing(root, cache, monkeypatch, stop):
    def interrupted(path, form):
        raise stop

    monkeypatch.setattr(picture_files, "decode", interrupted)
    with pytest.raises(stop):
        image_folder(root, (4, 4), cache=cache)
    assert os.listdir(cache.parent) == ["root"]


def test_too_many_bad_files_leave_no_cache(root, cache):
    for number in range(2):
        cut(root / "a" / f"{number:03}.png")
    for strict in (False, True):
        with pytest.raises(Invalid, match=r"000\.png"):
            image_folder(root, (4, 4), cache=cache, strict=strict)
    assert os.listdir(cache.parent) == ["root"]


def test_a_byte_that_has_flipped_is_noticed_when_its_picture_is_read(root, cache):
    made = image_folder(root, (4, 3), cache=cache)
    size = cache.stat().st_size
    with open(cache, "r+b") as file:
        file.seek(size - 20)  # in the last picture
        value = file.read(1)[0]
        file.seek(size - 20)
        file.write(bytes([value ^ 4]))
    for folder in (made, image_folder(root, (4, 3), cache=cache)):
        with pytest.raises(Invalid, match=rf"^`cache` \({cache}\) must be as it was written, but the picture of .*png "
                                          r"has changed: remove the cache, it is made anew$"):
            content(folder)


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_writes_is_not(root, cache):
    import socket
    import subprocess

    gone = subprocess.Popen(["true"])
    gone.wait()
    dead, alive, elsewhere = (cache.with_name(f".{cache.name}.{name}.part") for name in (
        f"{socket.gethostname()}-{gone.pid}", f"{socket.gethostname()}-1", f"other-host-{gone.pid}"))
    for each in (dead, alive, elsewhere):
        each.write_bytes(b"half")
    image_folder(root, (4, 3), cache=cache)
    assert not dead.exists() and alive.exists() and elsewhere.exists() and cache.exists()
