"""evaluate.py, and what every script that reopens a run refuses."""

import json
import shutil
import sys

import cli
import evaluate
import numpy as np
import pytest
import reopen
import tensorflow as tf

from tests import painted
from tests.scripts.running import run, run_process


def said(capsys, *options):
    """Exit code, standard output and standard error of the script, in this process."""
    chosen = cli.Command(evaluate.Options(), None).parse(list(map(str, options)))
    code = reopen.answer(lambda: evaluate.main(chosen))
    return code, *capsys.readouterr()


def metrics(capsys, *options):
    code, out, err = said(capsys, *options, "--json")
    assert code == 0, err
    return json.loads(out)


def metrics_of(folder):
    return json.loads((folder / "summary.json").read_text())["metrics"]


def test_as_a_person_runs_it_and_to_the_bit_what_the_run_said(vae_run, unchanged, tmp_path):
    with unchanged(vae_run):
        done = run_process("evaluate.py", vae_run, "--json", cwd=tmp_path)
    assert done.returncode == 0 and done.stderr == ""
    found = json.loads(done.stdout)
    assert found["metrics"] == metrics_of(vae_run)
    assert (found["cycles"], found["part"], found["examples"]) == (20, "validation", 900)
    assert not list(tmp_path.iterdir())


def test_the_parts_of_a_run_with_a_validation_part(vae_run, unchanged, capsys):
    with unchanged(vae_run):
        parts = {part: metrics(capsys, vae_run, "--part", part) for part in ("train", "test")}
    assert {part: found["examples"] for part, found in parts.items()} == {"train": 8100, "test": 1000}
    errors = {metrics_of(vae_run)["negative_elbo"], *(found["metrics"]["negative_elbo"] for found in parts.values())}
    assert len(errors) == 3
    assert max(errors) - min(errors) < 20  # nats: one distribution


def test_a_text_run_says_its_test_metrics_too_and_reads_other_texts_by_its_vocabulary(
        text_run, reviews, unchanged, tmp_path, capsys):
    with unchanged(text_run):
        found = metrics(capsys, text_run, "--data-dir", reviews)
        assert found["metrics"] == metrics_of(text_run)
        assert {"accuracy", "test/accuracy"} <= set(found["metrics"])
        test = metrics(capsys, text_run, "--data-dir", reviews, "--part", "test")
        assert test["metrics"]["cross_entropy"] == metrics_of(text_run)["test/cross_entropy"]
        other = tmp_path / "other.csv"
        rows = [f"{'great' if i % 2 else 'poor'} {i},{'good' if i % 2 else 'bad'}" for i in range(10)]
        other.write_text("said,is\n" + "\n".join(rows) + "\n")
        foreign = metrics(capsys, text_run, "--dataset", "text-csv", "--data-dir", other, "--text-column", "said",
                          "--label-column", "is")
    assert (foreign["examples"], foreign["metrics"]["accuracy"]) == (2, 1.0)


def test_pictures_need_their_folder_and_other_pictures_are_named(
        classifier_run, shades, unchanged, tmp_path, capsys):
    rng = np.random.default_rng(1)
    for name, low in (("dark", 180), ("light", 0)):  # the wrong way round
        for i in range(5):
            painted.save(tmp_path / name / f"{i}.png", (low + rng.integers(0, 70, (9, 9, 3))).astype(np.uint8))
    with unchanged(classifier_run):
        code, out, _ = said(capsys, classifier_run, "--data-dir", shades)
        assert code == 0
        assert out.splitlines()[0] == f"{classifier_run} at cycle 60, image-folder, test part, 8 examples"
        assert f"accuracy {metrics_of(classifier_run)['accuracy']:.4f}" in out.splitlines()
        assert metrics_of(classifier_run)["accuracy"] == 1
        assert said(capsys, classifier_run) == (2, "", "error: `--data-dir` (None) must be a folder of pictures, flat "
                                                "or with one folder per class\n")
        assert said(capsys, classifier_run, "--data-dir", tmp_path) == (
            2, "", f"error: `--data-dir` ({tmp_path}) must be the data that the run was trained on, 32 examples, "
            "but has 8\n")
        other = metrics(capsys, classifier_run, "--dataset", "image-folder", "--data-dir", tmp_path, "--part", "train")
    assert (other["examples"], other["metrics"]["accuracy"]) == (8, 0.0)


@pytest.fixture
def copy(vae_run, tmp_path):
    """A run of the test's own."""
    return shutil.copytree(vae_run, tmp_path / "copy")


def _configured(folder, **values):
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def _no_checkpoint(folder):
    shutil.rmtree(folder / "checkpoints")


def _made_in_python(folder):
    file = folder / "config.json"
    file.write_text(json.dumps({name: value for name, value in json.loads(file.read_text()).items()
                                if name not in ("script", "inputs", "classes")}))


@pytest.mark.parametrize("break_it, rule", [
    (shutil.rmtree, "the folder of a run: there is no such folder"),
    (lambda folder: (folder / "config.json").unlink(), "the folder of a run: it has no config.json"),
    (lambda folder: (folder / "config.json").write_text("{"), "its config.json is not what a run writes"),
    (lambda folder: _configured(folder, script="os"), "a run of one of train_autoencoder, train_classifier, "),
    (_made_in_python, "a run of a train script: one that was made in Python is opened by engine.open_run"),
    (lambda folder: _configured(folder, colour="red"), "of options that train_vae has today, but has colour"),
    (_no_checkpoint, "a run with a good checkpoint: there is none in its folder checkpoints"),
])
def test_what_is_no_run_is_one_line(break_it, rule, copy, capsys):
    break_it(copy)
    code, out, err = said(capsys, copy)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: `run_dir` ({copy}) must be ") and rule in err and err.count("\n") == 1


def test_weights_of_another_form_and_damaged_ones_are_not_read(copy, capsys):
    _configured(copy, latent_dim=4)
    code, _, err = said(capsys, copy)
    assert code == 2 and "must be of the shapes that are in the checkpoint" in err and err.count("\n") == 1
    _configured(copy, latent_dim=3)
    state = copy / "checkpoints" / "20" / "state.npz"
    painted.cut(state)
    code, _, err = said(capsys, copy)
    assert code == 2 and f"warning: checkpoint {state.parent} is passed over: state.npz has " in err
    assert "must be a run with a good checkpoint" in err.splitlines()[-1]


TRAINED = ("--dataset", "image-folder", "--image-size", 8, "--net", "mlp", "--net-option", "hidden=[16]",
           "--batch-size", 8, "--cycles", 150, "--learning-rate", 0.01, "--plan", "graph")


@pytest.fixture
def insects(tmp_path):
    """A trained run on three classes of plain shades, and its data."""
    root = tmp_path / "data"
    for name, low in (("ant", 0), ("bee", 90), ("cat", 180)):
        for i in range(12):
            pixels = low + np.random.default_rng(i).integers(0, 70, (8, 8, 3))
            painted.save(root / name / f"{i:02}.png", pixels.astype(np.uint8))
    done = run("train_classifier.py", *TRAINED, "--data-dir", root, "--run-dir", tmp_path / "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return root, tmp_path / "run"


def test_labels_keep_the_meaning_that_they_were_trained_with(insects, tmp_path, capsys):
    root, folder = insects
    config = json.loads((folder / "config.json").read_text())
    assert config["classes"] == ["ant", "bee", "cat"] and config["inputs"]["image"] == ["uint8", 8, 8, 3]
    whole = metrics(capsys, folder, "--data-dir", root)["metrics"]["accuracy"]
    assert whole > 0.8

    (root / "ant").rename(root / "zebra")  # now the last of the alphabet
    code, out, err = said(capsys, folder, "--data-dir", root)
    assert (code, out) == (2, "")
    assert "must be among those of the run, ant, bee, cat, but it has none called zebra" in err
    again = run("train_classifier.py", *TRAINED, "--data-dir", root, "--run-dir", folder, cwd=tmp_path)
    assert again.returncode == 2 and "classes was ['ant', 'bee', 'cat'] and is ['bee', 'cat', 'zebra']" in again.stderr

    shutil.rmtree(root / "zebra")  # a part of the classes is enough to evaluate on, and is told
    code, out, err = said(capsys, folder, "--dataset", "image-folder", "--data-dir", root, "--json")
    assert code == 0 and err == "warning: the data have no examples of ant\n"
    assert json.loads(out)["metrics"]["accuracy"] > 0.7

    shutil.rmtree(root)  # what predicts needs no data
    painted.save(tmp_path / "new.png", np.full([8, 8, 3], 30, np.uint8))
    done = run("predict.py", folder, tmp_path / "new.png", cwd=tmp_path)
    assert done.returncode == 0 and ",ant," in done.stdout, done.stderr


def test_no_code_is_run_that_only_a_file_of_the_run_names(classifier_run, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(classifier_run, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "net": "antigravity:X"}))
    for given in ([], ["--net", "mlp"]):
        code, out, err = said(capsys, folder, *given)
        assert (code, out) == (2, "") and "antigravity" not in sys.modules
        assert err == (f"error: `--net` ({given[-1] if given else 'not given'}) must be antigravity:X, as in training: "
                       "opening the run runs its code\n")


@pytest.mark.parametrize("error, rule", [
    (tf.errors.DataLossError(None, None, "cut off"), "free of errors of the data and the loss: cut off"),
    (MemoryError("1 TiB"), "within the memory: smaller, or fewer at a time: 1 TiB")], ids=["data", "memory"])
def test_what_fails_in_a_tool_is_one_line(error, rule, capsys):
    def fails():
        raise error

    assert reopen.answer(fails) == 2
    assert capsys.readouterr().err == f"error: `data` must be {rule}\n"
