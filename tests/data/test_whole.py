"""A file is there whole or not at all, and an error of the disk says where."""

import errno

import pytest

from engine.data.whole import whole


def test_what_stood_stays_if_writing_fails(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError), whole(path) as part:
        part.write_text("new")
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    with whole(path) as part:
        part.write_text("new")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_a_full_disk_names_the_file(tmp_path):
    with pytest.raises(OSError, match=r"No space left on device: '.*/file'") as found, whole(tmp_path / "file") as part:
        part.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert found.value.errno == errno.ENOSPC and not list(tmp_path.iterdir())
