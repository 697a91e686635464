"""Texts from CSV files and folders: read exactly; whatever is wrong is one line that says where."""

import csv
import gzip

import numpy as np
import pytest

from engine.data.text import numbered, text_csv, text_folder
from engine.errors import Invalid

HEADER = "text,label\n"
LIMIT = csv.field_size_limit()  # of the whole process, before any of these tests


def file_of(folder, content):
    path = folder / "reviews.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(read, path, *columns):
    with pytest.raises(Invalid) as caught:
        read(path, *columns)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("encode", [str.encode, lambda text: text.encode("utf-8-sig"),
                                    lambda text: gzip.compress(text.encode(), mtime=0),
                                    lambda text: text.replace("\n", "\r\n").encode()])
def test_a_csv_file(tmp_path, encode):
    content = 'source,text,label\nx,"Good, ""really""<br />fine",pos\n\ny,Très mauvais,neg\nz, fine ,pos\n'
    corpus = text_csv(file_of(tmp_path, encode(content)))
    assert corpus.train.texts == ['Good, "really"<br />fine', "Très mauvais", "fine"]
    assert corpus.train.labels.tolist() == [1, 0, 1] and corpus.train.labels.dtype == np.int32
    assert corpus.classes == ("neg", "pos") and corpus.test is None


def test_quoted_ends_of_lines_and_other_columns(tmp_path):
    path = file_of(tmp_path, 'Stars,Review\n5,"two\nlines, \r\n three"\n1,one\n')
    corpus = text_csv(path, text="Review", label="Stars")
    assert corpus.train.texts == ["two\nlines, \r\n three", "one"]
    assert corpus.classes == ("1", "5") and corpus.train.labels.tolist() == [1, 0]


def test_what_the_csv_module_writes_comes_back(tmp_path):
    texts = ["a,b", 'say "hi"', "line\nline", "'single'", "\u2028 é 映", "x" * 200_000]
    path = tmp_path / "t.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *((text, index % 2) for index, text in enumerate(texts))])
    corpus = text_csv(path)
    assert csv.field_size_limit() == LIMIT
    assert corpus.train.texts == [text.strip() for text in texts]
    assert corpus.train.labels.tolist() == [0, 1, 0, 1, 0, 1]


def test_integers_are_ordered_by_value_and_names_by_the_alphabet():
    labels, classes = numbered(["10", "9", "-1", "9"])
    assert labels.tolist() == [2, 1, 0, 1] and classes == ("-1", "9", "10") and labels.dtype == np.int32
    labels, classes = numbered(["10", "9", "x"])
    assert labels.tolist() == [0, 1, 2] and classes == ("10", "9", "x")


@pytest.mark.parametrize("content, text", [
    ("", "a CSV file with a header, but is empty"),
    ("\n\n", "a CSV file with a header, but is empty"),
    (HEADER, "of at least one row below its header"),
    (HEADER + "good,1\nbad\n", "of 2 fields a row, as its header, but has 1 in line 3"),
    (HEADER + '"two\nlines",1\ngood, really,1\n', "of 2 fields a row, as its header, but has 3 in line 4"),
    (HEADER + "good,1\n ,0\n", "of rows with a text, but the row in line 3 has none"),
    (HEADER + "good,1\nbad, \n", "of rows with a label, but the row in line 3 has none"),
    (HEADER + "good,1\nbad,1\n", "of at least two classes, but every label is 1"),
    (HEADER + 'good,1\n"open,0\nmore,0\n', "CSV, but is not in the row that begins in line 3: unexpected end of data"),
    (HEADER + 'good,1\n"a"b,0\n', "CSV, but is not in the row that begins in line 3: ',' expected after '\"'"),
    (HEADER + "good,1\n" + "x" * (2**20 + 1) + ",0\n", "CSV, but is not in the row that begins in line 3: field la"),
    (HEADER.encode() + b"good,1\nd\xe9j\xe0,0\n", "UTF-8, but has the byte e9 in line 3, at 19 from the start"),
    ("text,label\n".encode("utf-16"), "UTF-8, but has the byte ff in line 1"),
    (HEADER.encode() + b"good,1\nb\0d,0\n", "text, but has a NUL character in line 3"),
    (gzip.compress(HEADER.encode() * 99, mtime=0)[:-9], "complete: its gzip stream is cut short"),
    (gzip.compress(HEADER.encode(), mtime=0) + b"more", "intact: its gzip stream is damaged"),
])
def test_wrong_csv_files(tmp_path, content, text):
    path = file_of(tmp_path, content)
    assert refusal(text_csv, path).startswith(f"`file` ({path}) must be {text}")
    assert csv.field_size_limit() == LIMIT


def test_columns_that_are_not_there_or_twice(tmp_path):
    path = file_of(tmp_path, "id, Text ,label,id\n1,a,b,2\n")
    assert refusal(text_csv, path) == f"`column` (text) must be there once among those of {path}: id, Text, label, id"
    assert refusal(text_csv, path, "Text", "id").startswith("`column` (id) must be there once among those of")
    assert refusal(text_csv, file_of(tmp_path, "text;label\na, b;1\n")).endswith("but its header is by ';'")


def test_some_rows_alone(tmp_path):
    path = file_of(tmp_path, "text,label,source\na,0,imdb\nb,1,other\nc,2,imdb\n,9,other\n")
    corpus = text_csv(path, where="source=imdb")
    assert corpus.train.texts == ["a", "c"] and corpus.classes == ("0", "2")
    assert refusal(text_csv, path, "text", "label", "source=x") == (
        "`where` (source=x) must be true of some row; source is imdb, other")
    assert refusal(text_csv, path, "text", "label", "source") == "`where` (source) must be column=value"
    assert refusal(text_csv, path, "text", "label", "from=x").startswith("`column` (from) must be there once among")
    assert "of at least two classes, but every label is 0" in refusal(text_csv, path, "text", "label", "text=a")


def test_no_csv_file(tmp_path):
    assert "readable: No such file" in refusal(text_csv, tmp_path / "none.csv")
    assert "readable: Is a directory" in refusal(text_csv, tmp_path)


def tree(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def test_a_folder_per_class(tmp_path):
    corpus = text_folder(tree(tmp_path, {
        "pos/2.txt": "très bon\n", "pos/10.txt": "good", "neg/1.TXT": "bad", "pos/notes.md": "no",
        "neg/._1.txt": b"\xff", ".git/x.txt": "no", "README.txt": "no"}))
    assert corpus.classes == ("neg", "pos") and corpus.test is None
    assert corpus.train.texts == ["bad", "good", "très bon"]
    assert corpus.train.labels.tolist() == [0, 1, 1] and corpus.train.labels.dtype == np.int32


def test_the_layout_of_acl_imdb(tmp_path):
    corpus = text_folder(tree(tmp_path, {
        "train/pos/0_9.txt": "good", "train/neg/0_1.txt": "bad", "train/unsup/0_0.txt": "?", "imdb.vocab": "the\n",
        "train/labeledBow.feat": "9 0:9", "test/pos/0_10.txt": "fine", "test/pos/1_7.txt": "great",
        "test/neg/0_2.txt": "poor"}))
    assert corpus.classes == ("neg", "pos")
    assert corpus.train.texts == ["bad", "good"] and corpus.train.labels.tolist() == [0, 1]
    assert corpus.test.texts == ["poor", "fine", "great"] and corpus.test.labels.tolist() == [0, 1, 1]


@pytest.mark.parametrize("files, at, text", [
    ({"x.txt": "good"}, "", "of at least two folders, one per class, but has 0"),
    ({"pos/x.txt": "good"}, "", "of at least two folders, one per class, but has 1"),
    ({"pos/x.txt": "good", "neg/x.md": "bad"}, "neg", "of at least one .txt file, as each class"),
    ({"pos/x.txt": "good", "neg/y.txt": " \n"}, "neg/y.txt", "of some text, but is empty"),
    ({"pos/x.txt": "good", "neg/y.txt": b"a\nd\xe9j\xe0"}, "neg/y.txt", "UTF-8, but has the byte e9 in line 2, at 3"),
    ({"pos/x.txt": "good", "neg/y.txt": b"a\0"}, "neg/y.txt", "text, but has a NUL character in line 1"),
    ({"train/a/x.txt": "1", "train/b/x.txt": "2", "test/a/x.txt": "3", "test/c/x.txt": "4"}, "test",
     "of the classes of train, a, b; they differ in b, c"),
    ({"train/a/x.txt": "1", "train/b/x.txt": "2", "more/a/x.txt": "3"}, "",
     "split into parts or a folder of classes, but has train and more"),
    ({"train/a/x.txt": "1", "train/unsup/x.txt": "2", "test/a/x.txt": "3"}, "train",
     "of at least two folders, one per class, but has 1"),
])
def test_wrong_folders(tmp_path, files, at, text):
    message = refusal(text_folder, tree(tmp_path, files))
    assert message.split("` ", 1)[1].startswith(f"({tmp_path / at}) must be {text}")


def test_no_folder(tmp_path):
    assert refusal(text_folder, tmp_path / "none") == f"`folder` ({tmp_path / 'none'}) must be a folder that exists"


def test_a_validation_part_is_to_choose_by_and_stands_in_for_a_missing_test(tmp_path):
    for part in ("train", "val", "test"):
        for name in ("a", "b"):
            (tmp_path / part / name).mkdir(parents=True)
            (tmp_path / part / name / "1.txt").write_text(f"{part} {name}")
    corpus = text_folder(tmp_path)
    assert (corpus.train.texts, corpus.validation.texts, corpus.test.texts) == (
        ["train a", "train b"], ["val a", "val b"], ["test a", "test b"])
    for file in (tmp_path / "test").rglob("*.txt"):
        file.unlink()
    for folder in ("test/a", "test/b", "test"):
        (tmp_path / folder).rmdir()
    corpus = text_folder(tmp_path)
    assert corpus.test.texts == ["val a", "val b"] and corpus.validation is None
