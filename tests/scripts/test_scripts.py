"""The training scripts as a person runs them."""

import io
import json
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import engine
from engine.reporting import table
from tests.scripts.running import ENVIRONMENT, ROOT, run, run_process

SCRIPTS = ("train_classifier.py", "train_vae.py", "train_wgan_gp.py")


def state_of(folder):
    """The newest checkpoint's manifest."""
    newest = max((folder / "checkpoints").iterdir(), key=lambda path: int(path.name))
    return json.loads((newest / "manifest.json").read_text())


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_teaches(script, tmp_path):
    done = run_process(script, "--help", cwd=tmp_path)
    assert done.returncode == 0
    for option in ("--dataset", "--data-dir", "--batch-size", "--epochs", "--cycles", "--seed", "--run-dir", "--plan",
                   "--precision", "--learning-rate", "--log-every", "--checkpoint-every", "--evaluate-every", "--check",
                   "--smoke"):
        assert re.search(rf"^  {option}\b", done.stdout, re.MULTILINE), option
    assert f"python scripts/{script}" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("script, options", [
    ("train_classifier.py", ()),
    ("train_wgan_gp.py", ("--plan", "eager")),
])
def test_smoke_works_in_a_process_of_its_own_and_keeps_nothing(script, options, tmp_path):
    done = run_process(script, *options, "--smoke", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "smoke passed" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("script, options", [
    ("train_vae.py", ()),
    ("train_wgan_gp.py", ("--size", "64", "--critic-updates", "1", "--plan", "eager")),
    ("train_wgan_gp.py", ("--critic-updates", "2", "--normalization", "none", "--average", "0", "--plan", "eager")),
    ("train_vae.py", ("--net", "conv-vae", "--anneal", "10", "--free-bits", "0.1", "--average", "0.9")),
    ("train_vae.py", ("--precision", "bfloat16", "--plan", "eager")),
    ("train_vae.py", ("--precision", "float16", "--plan", "graph", "--on-bad-update", "skip")),
    ("train_classifier.py", ("--flip", "--shift", "2", "--net-option", "dropout=0.2", "--label-smoothing", "0.1",
                             "--plan", "xla")),
    ("train_classifier.py", ("--net", "resnet18", "--net-option", "width=4", "--optimizer", "sgd", "--decay", "cosine",
                             "--mixup", "0.2", "--validation", "0.1", "--plan", "eager")),
    ("train_classifier.py", ("--net", "mlp", "--average", "0")),
])
def test_smoke_goes_through_every_event_and_keeps_nothing(script, options, tmp_path):
    done = run(script, *options, "--smoke", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "smoke passed" in done.stdout
    assert not list(tmp_path.iterdir())


def test_check_reports_and_writes_only_the_picture_that_is_asked_for(tmp_path):
    done = run("train_wgan_gp.py", "--check", "--normalization", "batch", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "phase critic: 5 per cycle; moves critic by Adam" in done.stdout
    assert re.search(r"^  warning  phase critic: net critic uses batch normalisation under a gradient penalty",
                     done.stdout, re.MULTILINE)
    assert done.stdout.endswith("check passed: nothing was written\n")
    assert not list(tmp_path.iterdir())

    done = run("train_classifier.py", "--check", "batch.png", "--net", "mlp", "--cycles", "70", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r" per epoch, [^,]* for 70 cycles; ", done.stdout)
    assert done.stdout.endswith("no problems found\ncheck passed: the first batch is in batch.png\n")
    assert list(tmp_path.iterdir()) == [tmp_path / "batch.png"]
    with Image.open(tmp_path / "batch.png") as picture:  # 64 of 28 pixels, doubled, with captions
        assert picture.size == (8 * 58 + 2, 8 * 73 + 2)
        assert np.asarray(picture).std() > 50


def test_check_of_a_run_that_cannot_train_exits_with_2(tmp_path):
    images, labels = np.full([40, 8, 8, 1], 255, np.uint8), np.arange(40) % 3
    np.savez(tmp_path / "data.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    done = run("train_vae.py", "--dataset", "npz", "--data-dir", "data.npz", "--beta", "3e38", "--batch-size", "8",
               "--plan", "graph", "--check", cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr == "error: `--check` (faults: 1) must be passed: training cannot begin, see its report\n"
    assert "  fault    phase elbo: objective is not finite at the first update" in done.stdout
    assert "  warning  image is 255 in all 40 examples looked at" in done.stdout
    assert list(tmp_path.iterdir()) == [tmp_path / "data.npz"]


@pytest.mark.parametrize("options, line", [
    (["--latent-dim", "0"], r"`--latent-dim` \(0\) must be an integer of at least 1"),
    (["--epochs", "-1"], r"`--epochs` \(-1\) must be a number above 0"),
    (["--epochs", "1", "--cycles", "2"], r"`--cycles` must be left out beside --epochs"),
    (["--learning-rate", "nan"], r"`--learning-rate` \(nan\) must be a number above 0"),
    (["--plan", "fast"], r"`--plan` \(fast\) must be one of"),
    (["--lantent-dim", "3"], r"`--lantent-dim` must be an option of this script; nearest: --latent-dim"),
    (["--lr", "3"], r"`--lr` must be an option of this script; nearest: --learning-rate"),
    (["--epoch", "3"], r"`--epoch` must be an option of this script; nearest: --epochs"),
    (["--qqq"], r"`--qqq` must be an option of this script \("),
    (["--dataset", "imdb"], r"`--dataset` \(imdb\) must be one of fashion-mnist-10k, .*; nearest: "),
    (["--net", "resnet18"], r"`--net` \(resnet18\) must be one of dense-vae, conv-vae, or module:Class"),
    (["--dataset", "mnst"], r"`--dataset` \(mnst\) must be one of fashion-mnist-10k, fashion-mnist"),
    (["--data-dir", "empty"], r"`--data-dir` \(empty\) must be left out"),
    (["--dataset", "fashion-mnist", "--data-dir", "missing"], r"`--data-dir` \(missing\) must be a folder"),
    (["--batch-size", "9001"], r"`--batch-size` \(9001\) must be at most the number of examples, 9000"),
    (["--run-dir", "taken"], r"`--run-dir` \(taken\) must be new, empty, or the folder of a run"),
    (["--epochs"], r"`--epochs` must have one value"),
])
def test_bad_input_is_one_line_and_exit_code_2_and_nothing_is_written(options, line, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    done = run("train_vae.py", *options, cwd=tmp_path)
    assert done.returncode == 2
    assert re.fullmatch(rf"error: .*{line}.*\n", done.stderr), done.stderr
    assert done.stdout == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_is_written_continued_and_guarded(tmp_path):
    folder = tmp_path / "run"
    options = ["--batch-size", "500", "--log-every", "4", "--plan", "graph", "--run-dir", folder]
    first = run("train_vae.py", *options, "--cycles", "18", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "negative_elbo" in first.stdout
    rows = table.read(folder / "metrics.csv")
    assert rows["cycle"] == [4.0, 8.0, 12.0, 16.0, 18.0]
    assert np.isfinite(rows["elbo/objective"]).all()
    assert rows["elbo/objective"][-1] < rows["elbo/objective"][0]
    assert np.isfinite(rows["eval/negative_elbo"][-1])
    with Image.open(folder / "pictures" / "samples-18.png") as picture:
        assert np.asarray(picture).std() > 1
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["cycles"], summary["plan"]) == (18, "graph")
    assert summary["metrics"]["negative_elbo"] == rows["eval/negative_elbo"][-1]
    assert "samples, cycle 18" in (folder / "report.html").read_text()
    assert list((folder / "tensorboard").iterdir())

    again = run("train_vae.py", *options, "--cycles", "18", cwd=tmp_path)
    assert again.returncode == 0
    assert again.stdout == first.stdout
    assert json.loads((folder / "summary.json").read_text()) == summary

    longer = run_process("train_vae.py", *options, "--cycles", "36", cwd=tmp_path)
    assert "at cycle 18 of 36" in longer.stderr
    whole = run("train_vae.py", *options[:-1], tmp_path / "whole", "--cycles", "36", cwd=tmp_path)
    assert whole.returncode == 0
    assert state_of(folder)["files"] == state_of(tmp_path / "whole")["files"]

    other = run("train_vae.py", *options, "--cycles", "36", "--beta", "2", "--seed", "1", cwd=tmp_path)
    assert other.returncode == 2
    assert "beta was 1.0 and is 2.0; seed was 0 and is 1" in other.stderr
    assert state_of(folder)["cycle"] == 36


@pytest.mark.parametrize("signum, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 138),
                                          (signal.SIGQUIT, 131), (None, 143)])
def test_a_signal_saves_a_checkpoint_and_says_how_to_continue(signum, code, tmp_path):
    folder = tmp_path / "run"
    command = [sys.executable, ROOT / "scripts" / "train_vae.py", "--plan", "graph", "--epochs", "10000",
               "--run-dir", folder]
    process = subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (folder / "metrics.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    if signum is None:  # who reads standard error has gone
        process.stderr.close()
        assert process.wait(timeout=60) == code and state_of(folder)["cycle"] > 0
        return
    process.send_signal(signum)
    _, errors = process.communicate(timeout=60)
    assert ("most recent call first" in errors) == (signum == signal.SIGQUIT)  # where it stands
    assert process.returncode == code, errors
    assert state_of(folder)["cycle"] > 0
    assert re.search(rf"{signal.Signals(signum).name}: a checkpoint was saved; continue with: python .*train_vae.py "
                     rf"--plan graph --epochs 10000 --run-dir {folder}", errors)


def test_a_run_that_goes_bad_exits_with_3_and_names_the_place(tmp_path):
    folder = tmp_path / "run"
    done = run_process("train_vae.py", "--learning-rate", "1e30", "--cycles", "50", "--plan", "graph", "--run-dir",
                       folder, cwd=tmp_path)
    assert done.returncode == 3
    line, offer = done.stderr.strip().splitlines()[-2:]
    assert "--autopsy" in offer
    assert re.search(r"error: stopped by the health watch at cycle \d+, phase elbo, update \d+: elbo/\w+ is (nan|inf)",
                     line), line
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["stopped"] == line.removeprefix("error: ") and len(summary["faults"]) == 1
    assert "stopped by the health watch at cycle" in (folder / "report.html").read_text()
    state = state_of(folder)
    assert state["cycle"] >= 1
    with np.load(folder / "checkpoints" / str(state["cycle"]) / "state.npz") as arrays:
        assert all(np.isfinite(arrays[name]).all() for name in arrays.files)
    again = run("train_vae.py", "--learning-rate", "1e30", "--cycles", "50", "--plan", "graph", "--run-dir", folder,
                "--autopsy", cwd=tmp_path)
    assert again.returncode == 3
    error, found = again.stderr.strip().splitlines()[-2:]
    assert error.startswith("error: stopped by the health watch at ")
    assert re.search(r"^autopsy: phase elbo, update \d+, forward: \w+ in layer vae/\w+ \(nets/dense_vae.py:\d+\) gave ",
                     found), found


def test_what_a_plan_cannot_compute_is_one_line(tmp_path, monkeypatch):
    """As on a GPU XLA's gradient of max pooling, with the same bits in every run."""
    def trainer(*args, **options):
        raise tf.errors.UnimplementedError(None, None, "GPU MaxPool gradient ops do not yet have it")

    monkeypatch.setattr(engine, "Trainer", trainer)
    done = run("train_vae.py", "--plan", "xla", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1] == (
        "error: `plan` (xla) must be one that can compute this, such as graph: GPU MaxPool gradient ops do not yet "
        "have it")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("error, line", [
    (tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[9] on /job:x/device:CPU:0"),
     "`--batch-size` (128) must be within the memory: take a smaller one, or a smaller net: OOM when allocating tensor "
     "with shape[9]"),
    (MemoryError("1 TiB"),
     "`--batch-size` (128) must be within the memory: take a smaller one, or a smaller net: 1 TiB"),
    (tf.errors.DataLossError(None, None, "cut off"),
     "`--dataset` (fashion-mnist-10k) must be free of errors of the data and the loss: cut off")],
                         ids=["memory", "Python's memory", "data"])
def test_what_fails_before_the_first_update_is_one_line(tmp_path, monkeypatch, error, line):
    def trainer(*args, **options):
        raise error

    monkeypatch.setattr(engine, "Trainer", trainer)
    done = run("train_vae.py", cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.strip().splitlines()[-1] == f"error: {line}"


def test_a_folder_of_one_class_is_not_to_be_classified(tmp_path):
    (tmp_path / "flat").mkdir()
    for number in range(12):
        Image.new("RGB", (8, 8), (20 * number, 0, 0)).save(tmp_path / "flat" / f"{number}.png")
    done = run_process("train_classifier.py", "--dataset", "image-folder", "--data-dir", "flat", "--batch-size", "4",
                       cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == ("error: `--dataset` (image-folder, 1 class) must be of 2 classes or more: a class is a "
                           "subfolder\n")
    assert not (tmp_path / "runs").exists()


def test_a_schedule_is_part_of_the_run_that_is_continued(tmp_path):
    command = ("train_classifier.py", "--net", "mlp", "--net-option", "hidden=[8]", "--decay", "cosine", "--batch-size",
               "500", "--plan", "graph", "--log-every", "5", "--run-dir", tmp_path / "run")
    first = run(*command, "--cycles", "10", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    kept = (tmp_path / "run" / "checkpoints" / "10" / "state.npz").read_bytes()
    longer = run(*command, "--cycles", "14", cwd=tmp_path)
    assert longer.returncode == 0, longer.stderr
    assert "warning: --decay cosine ends at cycle 10 of 14, and from there on the learning rate is 0" in longer.stderr
    with np.load(tmp_path / "run" / "checkpoints" / "14" / "state.npz") as after, np.load(io.BytesIO(kept)) as before:
        weights = [name for name in before.files if name.startswith("nets/") and name.endswith("kernel")]
        assert weights and all((after[name] == before[name]).all() for name in weights)
    again = run(*command, "--cycles", "14", cwd=tmp_path)
    assert "already at cycle 14 of 14: nothing to do" in again.stderr
    other = run(*command, "--cycles", "14", "--decay-cycles", "14", cwd=tmp_path)
    assert other.returncode == 2 and "decay_cycles was 10 and is 14" in other.stderr


def test_a_run_that_diverges_and_stays_finite_is_told(tmp_path):
    done = run("train_regression.py", "--learning-rate", "0.9", "--momentum", "0.9", "--cycles", "60", "--log-every",
               "10", "--plan", "graph", "--run-dir", tmp_path / "run", cwd=tmp_path)
    assert done.returncode == 0 and "the training has diverged; take a smaller learning rate" in done.stderr
    done = run("train_regression.py", "--cycles", "60", "--plan", "graph", "--run-dir", tmp_path / "good", cwd=tmp_path)
    assert done.returncode == 0 and "diverged" not in done.stderr
