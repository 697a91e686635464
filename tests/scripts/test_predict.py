"""predict.py: labels of pictures and texts that are plain to see, and reconstructions."""

import csv
import gzip
import io
import os

import cli
import numpy as np
import predict
import pytest
import reopen
from PIL import Image

from tests import painted
from tests.scripts.running import run_process

RNG = np.random.default_rng(2)


def said(capsys, *options):
    chosen = cli.Command(predict.Options(), None).parse(list(map(str, options)))
    code = reopen.answer(lambda: predict.main(chosen))
    return code, *capsys.readouterr()


def shade(path, low):
    return painted.save(path, (low + RNG.integers(0, 70, (20, 16, 3))).astype(np.uint8))


def table(text):
    rows = list(csv.reader(text.splitlines()))
    assert rows[0] == ["file", "label", "probability"]
    return rows[1:]


@pytest.fixture
def pictures(tmp_path):
    """A folder of a dark picture, a light one below it, a broken one and a note."""
    shade(tmp_path / "in" / "a.png", 0)
    shade(tmp_path / "in" / "deep" / "b.jpg", 180)
    painted.cut(shade(tmp_path / "in" / "broken.png", 0))
    (tmp_path / "in" / "note.md").write_text("no picture")
    return tmp_path / "in"


def test_as_a_person_runs_it_on_a_folder_with_a_broken_picture(classifier_run, pictures, unchanged, tmp_path):
    with unchanged(classifier_run):
        done = run_process("predict.py", classifier_run, "in", cwd=tmp_path)
    assert done.returncode == 0
    rows = table(done.stdout)
    assert [row[:2] for row in rows] == [["in/a.png", "dark"], ["in/deep/b.jpg", "light"]]
    assert all(0.5 < float(row[2]) <= 1 for row in rows)
    assert done.stderr.startswith("skipped: `picture` (in/broken.png) must be readable and intact: ")
    assert done.stderr.count("\n") == 1


def test_the_likeliest_come_first_and_add_up(classifier_run, pictures, tmp_path, capsys):
    output = tmp_path / "new" / "labels.csv"
    code, out, err = said(capsys, classifier_run, pictures / "a.png", pictures / "deep", "--top", 5,
                          "--output", output)
    assert (code, out, err) == (0, "", "")
    rows = table(output.read_text())
    assert [row[1] for row in rows] == ["dark", "light", "light", "dark"]
    for likely, other in (rows[:2], rows[2:]):
        assert float(likely[2]) > float(other[2])
        assert float(likely[2]) + float(other[2]) == pytest.approx(1, abs=2e-6)


def test_softmax_by_hand():
    rows = list(predict.ranked(["x"], np.array([[0.0, np.log(3), 1000 * 0.0 - np.inf]]), ["a", "b", "c"], 3))
    assert rows == [("x", "b", "0.750000"), ("x", "a", "0.250000"), ("x", "c", "0.000000")]


def test_nothing_good_and_bad_options_are_one_line(classifier_run, pictures, wgan_run, capsys):
    for options, text in [
        ([pictures / "broken.png"], "`picture` ("),
        ([pictures / "note.md"], "must be a JPEG, PNG, GIF, BMP, WebP or TIFF"),
        ([pictures / "none.png"], "must be a file or folder that exists"),
        ([], "`FILE_OR_FOLDER` (none) must be at least one file or folder, or a --text"),
        (["--text", "hello"], "`--text` (hello) must be left out for a run of train_classifier"),
    ]:
        code, out, err = said(capsys, classifier_run, *options)
        assert (code, out) == (2, ""), options
        assert err.startswith("error: ") and text in err and err.count("\n") == 1, err
    code, out, err = said(capsys, wgan_run, pictures)
    assert (code, out) == (2, "") and "one of train_wgan_gp is for sample.py" in err


def test_texts_from_files_a_table_and_the_command_line(text_run, unchanged, tmp_path, capsys):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "one.txt").write_text("film 7 was lovely, I say")
    (tmp_path / "texts" / "two.txt").write_bytes(b"\xff\xfe")
    (tmp_path / "texts" / "three.txt").write_text("...")
    table_file = tmp_path / "table.csv"
    table_file.write_text('text,stars\n"film 8 was dull,\nI say",1\nfilm 9 was great,5\n')
    with unchanged(text_run):
        code, out, err = said(capsys, text_run, tmp_path / "texts", table_file, "--text", "it was weak")
    assert code == 0
    rows = table(out)
    assert [row[:2] for row in rows] == [
        ["text", "bad"], [str(tmp_path / "texts" / "one.txt"), "good"], [f"{table_file}:2", "bad"],
        [f"{table_file}:4", "good"]]
    assert all(0.5 < float(row[2]) <= 1 for row in rows)
    assert "two.txt) must be UTF-8" in err and "three.txt) must be of at least one word" in err
    assert err.count("skipped: ") == err.count("\n") == 2
    code, out, err = said(capsys, text_run, table_file, "--text-column", "review")
    assert (code, out) == (2, "") and "`column` (review) must be there once" in err


def test_an_autoencoder_writes_reconstructions_of_the_training_size(autoencoder_run, unchanged, tmp_path, capsys):
    from engine.data import catalog

    images = catalog.load("fashion-mnist-10k").test["image"]
    for place in ("in/a.png", "in/b.png", "in/deep/a.png"):
        painted.save(tmp_path / place, images[len(place)])
    code, _, err = said(capsys, autoencoder_run, tmp_path / "in")
    assert code == 2 and "`--output` (none) must be a folder for the reconstructions" in err
    out = tmp_path / "out"
    with unchanged(autoencoder_run):
        code, printed, err = said(capsys, autoencoder_run, tmp_path / "in", "--output", out)
    assert (code, printed, err) == (0, f"3 reconstructions in {out}\n", "")
    assert sorted(path.name for path in out.iterdir()) == [
        "a-reconstruction-2.png", "a-reconstruction.png", "b-reconstruction.png"]
    chosen = cli.Command(predict.Options(), None).parse([str(autoencoder_run)])
    opened = reopen.reopen(chosen.which)
    for name, place in (("a-reconstruction.png", "in/a.png"), ("a-reconstruction-2.png", "in/deep/a.png")):
        source = catalog.Dataset("one", {}, {"image": images[[len(place)]]}).source(
            "test", 1, transform=opened.job.held_out.transform)
        expected = opened.run.pictures(1, source)["reconstructions"][1, ..., 0]
        np.testing.assert_allclose(np.asarray(Image.open(out / name).convert("L")), 255 * expected, atol=1)
    renamed = painted.save(out / "in" / "x-reconstruction.png", images[0])
    painted.save(out / "in" / "x.png", images[1])
    before = renamed.read_bytes()
    code, _, err = said(capsys, autoencoder_run, out / "in", "--output", out / "in")
    assert code == 2 and f"must be another folder: {renamed} is to be read" in err
    assert renamed.read_bytes() == before


def test_options_may_stand_before_files_and_a_packed_table_is_a_table(text_run, tmp_path, capsys):
    table_file = tmp_path / "more.csv.gz"
    table_file.write_bytes(gzip.compress(b"text\nfilm 8 was dull\nfilm 9 was great\n"))
    chosen = cli.Command(predict.Options(), None).parse([str(text_run), "--top", "1", str(table_file)], intermixed=True)
    assert reopen.answer(lambda: predict.main(chosen)) == 0
    assert [row[:2] for row in table(capsys.readouterr().out)] == [
        [f"{table_file}:2", "bad"], [f"{table_file}:3", "good"]]


def test_names_that_are_no_utf_8_are_kept_byte_for_byte(classifier_run, tmp_path):
    name = os.fsdecode(b"sh\xffade.png")
    shade(tmp_path / name, 30)
    chosen = cli.Command(predict.Options(), None).parse(list(map(str, [classifier_run, tmp_path / name, "--output",
                                                                       tmp_path / "out.csv"])))
    assert predict.main(chosen) == 0
    assert b"sh\xffade.png," in (tmp_path / "out.csv").read_bytes()


def test_what_a_stream_cannot_print_is_escaped(monkeypatch):
    for encoding, expected in (("ascii", b"\\xe9t\xff\\u4e2d"), ("utf-8", "ét".encode() + b"\xff" + "中".encode())):
        buffer = io.BytesIO()
        stream = io.TextIOWrapper(buffer, encoding, "strict")
        monkeypatch.setattr("sys.stdout", stream)
        cli.Command(predict.Options(), None).parse(["run"])
        print("ét\udcff中", end="", flush=True)
        assert buffer.getvalue() == expected
