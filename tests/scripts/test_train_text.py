"""train_text.py as a person runs it, on files in the true format that the tests write."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from engine.data.text_dataset import csv_file
from engine.data.vocabulary import Vocabulary
from engine.reporting import table
from tests.scripts.running import run, run_process

OPTIONS = ("--net-option", "units=[8]", "--net-option", "embedding=8", "--net-option", "dropout=0",
           "--length", "8", "--batch-size", "16")


def reviews(path, count=120, word="film"):
    """A CSV file whose texts say good or bad, and rows of another source, which say nothing."""
    draw = np.random.default_rng(0)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label", "source"])
        for i in range(count):
            words = [["bad", "good"][i % 2], word, f"number{i}", *draw.choice(["a", "the", "of"], 2)]
            writer.writerow([" ".join(draw.permutation(words)), i % 2, "mine"])
        writer.writerow(["elsewhere", 7, "other"])
    return path


def test_a_run_learns_keeps_its_vocabulary_and_uses_the_test_once(tmp_path):
    path, folder = reviews(tmp_path / "reviews.csv"), tmp_path / "run"
    command = ("train_text.py", "--dataset", "text-csv", "--data-dir", path, "--where", "source=mine", *OPTIONS,
               "--validation", "0.2", "--learning-rate", "0.02", "--average", "0.5", "--cycles", "60", "--log-every",
               "10", "--run-dir", folder)
    done = run(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((folder / "summary.json").read_text())["metrics"]
    assert set(metrics) == {"cross_entropy", "accuracy", "test/cross_entropy", "test/accuracy"}
    assert min(metrics["accuracy"], metrics["test/accuracy"]) > 0.9
    assert metrics["cross_entropy"] != metrics["test/cross_entropy"]
    rows = table.read(folder / "metrics.csv")
    assert not [name for name in rows if "test" in name]
    losses = [loss for loss in rows["classifier/cross_entropy"] if np.isfinite(loss)]
    assert losses[-1] < 0.5 * losses[0]
    kept = Vocabulary.load(folder / "vocabulary.txt")
    assert kept == csv_file(path, where="source=mine", validation=0.2, length=8).vocabulary
    assert sum(word.startswith("number") for word in kept.words) == 120 - 24 - 20  # those of the training part
    with Image.open(folder / "pictures" / "confusion-60.png") as picture:
        assert np.asarray(picture).std() > 1

    again = run(*command, cwd=tmp_path)
    assert (again.returncode, again.stdout) == (0, done.stdout)
    reviews(path, word="movie")
    other = run(*command, cwd=tmp_path)
    assert other.returncode == 2
    assert "vocabulary.txt) must be the vocabulary of these texts: the run was begun on others" in other.stderr
    assert Vocabulary.load(folder / "vocabulary.txt") == kept


def test_smoke_check_and_bad_data_write_nothing(tmp_path):
    texts = tmp_path / "texts"
    for name in ("bad", "good"):
        (texts / name).mkdir(parents=True)
        for i in range(20):
            (texts / name / f"{i}.txt").write_text(f"a {name} film, number {i}")
    before = sorted(tmp_path.rglob("*"))
    of_folder = ("--dataset", "text-folder", "--data-dir", texts, *OPTIONS)
    done = run_process("train_text.py", *of_folder, "--label-smoothing", "0.1", "--clip-norm", "0", "--average", "0",
                       "--plan", "eager", "--smoke", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "smoke passed" in done.stdout and "test/accuracy" not in done.stdout
    done = run("train_text.py", *of_folder, "--check", cwd=tmp_path)
    assert "label: 2 classes from 0 to 1" in done.stdout and "nothing was written" in done.stdout
    assert sorted(tmp_path.rglob("*")) == before


def test_three_kinds_of_texts_by_softmax(tmp_path):
    draw, lines = np.random.default_rng(1), []
    for i in range(150):
        words = [["dull", "funny", "sad"][i % 3], "film", *draw.choice(["a", "the", "of"], 2)]
        lines.append(f"{' '.join(draw.permutation(words))},{['c', 'a', 'b'][i % 3]}")
    (tmp_path / "t.csv").write_text("\n".join(["text,label", *lines]))
    done = run("train_text.py", "--dataset", "text-csv", "--data-dir", "t.csv", *OPTIONS, "--learning-rate", "0.02",
               "--average", "0.5", "--cycles", "60", "--run-dir", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3 classes (a, b, c)" in done.stderr
    metrics = json.loads((tmp_path / "run" / "summary.json").read_text())["metrics"]
    assert metrics["accuracy"] > 0.9 and set(metrics) == {"cross_entropy", "accuracy"}
    with Image.open(tmp_path / "run" / "pictures" / "confusion-60.png") as picture:
        assert np.asarray(picture).std() > 1
    done = run("predict.py", "run", "--text", "a funny film", "--text", "of the sad film", "--top", 3, cwd=tmp_path)
    rows = [line.split(",") for line in done.stdout.splitlines()[1:]]
    assert [rows[0][1], rows[3][1]] == ["a", "b"]
    assert sum(float(row[2]) for row in rows[:3]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("options, line", [
    ((), r"`labels` (1 of class 7) must be of at least 2 examples, so that each class has one on either side"),
    (("--where", "origin=mine"), r"`column` (origin) must be there once among those of"),
])
def test_data_that_do_not_fit_are_one_line(options, line, tmp_path):
    path = reviews(tmp_path / "reviews.csv")
    done = run("train_text.py", "--dataset", "text-csv", "--data-dir", path, *OPTIONS, *options, cwd=tmp_path)
    assert done.returncode == 2
    assert line in done.stderr and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == [path]
