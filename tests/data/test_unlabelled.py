"""What a prediction reads: files and folders as named, the good ones kept, the bad ones told."""

from pathlib import Path

import numpy as np
import pytest

from engine import Invalid
from engine.data import unlabelled
from engine.data.delimited import column
from engine.data.image_file import Form
from tests import painted


def tree(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("some words")
    return root


def test_folders_stand_for_their_files_in_order_and_files_for_themselves(tmp_path):
    tree(tmp_path, "b/z.TXT", "b/a/y.txt", "b/note.md", "b/.hidden.txt", "b/.git/x.txt", "a.md")
    found = unlabelled.listed([tmp_path / "b", tmp_path / "a.md"], (".txt",))
    assert found == [tmp_path / "b" / "a" / "y.txt", tmp_path / "b" / "z.TXT", tmp_path / "a.md"]


def test_a_hidden_place_above_does_not_hide(tmp_path):
    folder = tree(tmp_path / ".cache" / "texts", "x.txt")
    assert unlabelled.listed([folder], (".txt",)) == [folder / "x.txt"]


def test_what_is_not_there_is_named(tmp_path):
    tree(tmp_path, "only/note.md")
    with pytest.raises(Invalid, match=r"`path` \(none\) must be a file or folder that exists"):
        unlabelled.listed([Path("none")], (".txt",))
    with pytest.raises(Invalid, match=r"only\) must be a folder with files that end in \.txt, \.log"):
        unlabelled.listed([tmp_path / "only"], (".txt", ".log"))


def test_good_pictures_are_read_and_bad_ones_told(tmp_path):
    pixels = painted.noise(1, 4, 4)
    painted.save(tmp_path / "a.png", pixels)
    painted.cut(painted.save(tmp_path / "b.png", painted.noise(2)))
    painted.save(tmp_path / "c.bmp", pixels)
    store, good, faults = unlabelled.pictures([tmp_path], Form((4, 4)))
    assert good == [0, 2] and len(faults) == 1 and "b.png) must be readable and intact" in faults[0]
    np.testing.assert_array_equal(store.read(np.array(good)), [pixels, pixels])
    with pytest.raises(Invalid, match=r"b\.png\) must be readable and intact: .*: none is good"):
        unlabelled.pictures([tmp_path / "b.png"], Form((4, 4)))


def test_texts_have_the_names_of_their_places(tmp_path):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "one.txt").write_text("first words")
    (tmp_path / "t" / "two.txt").write_bytes(b"\xff")
    table = tmp_path / "table.csv"
    table.write_text('review,stars\n"line\nbreak",1\n"",2\nlast,3\n')
    good, faults = unlabelled.texts([tmp_path / "t", table], ["given"], "review")
    assert good == [("text", "given"), (str(tmp_path / "t" / "one.txt"), "first words"), (f"{table}:2", "line\nbreak"),
                    (f"{table}:5", "last")]
    assert "two.txt) must be UTF-8" in faults[0] and faults[1] == f"`text` ({table}:4) must be of at least one word"
    with pytest.raises(Invalid, match=r"`text` \(text\) must be of at least one word; and 1 more: none is good"):
        unlabelled.texts([], ["...", "!"])


def test_a_column_of_a_table_that_is_broken(tmp_path):
    path = tmp_path / "x.csv"
    for content, rule in [("", "a CSV file with a header, but is empty"), ("text\n", "of at least one row"),
                          ("a,b\n1,2\n", r"`column` \(text\) must be there once among those of .*: a, b"),
                          ("text,b\n1,2\n3\n", "of 2 fields a row, as its header, but has 1 in line 3")]:
        path.write_text(content)
        with pytest.raises(Invalid, match=rule):
            column(path, "text")
