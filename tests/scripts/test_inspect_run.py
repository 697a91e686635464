"""inspect_run.py: what a run is, which checkpoints are good, what differs; from files alone."""

import json
import os

import cli
import inspect_run
import numpy as np
import pytest
import reopen

from engine.run import checkpoint
from tests.scripts.running import run, run_process

CONFIG = {"script": "train_regression", "plan": "graph", "seed": 3, "batch_size": 10, "examples": 100}


def facts(cycle):
    return {"batches": 2 * cycle, "updates": {"fit": cycle}, "rejected": {"fit": 1}, "rollbacks": 2,
            "seconds": cycle / 4, "best": {"metric": "eval/x", "value": 0.5, "cycle": 10}, "config": CONFIG,
            "surroundings": {"numpy": "9.9"}}


def state(cycle):
    return {"nets/net/000.kernel": np.full([3, 2], 2.0 + cycle, np.float32),
            "nets/net/001.bias": np.ones(2, np.float32), "optimizers/fit/000.iteration": np.array(cycle)}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    (path / "config.json").write_text(json.dumps(CONFIG))
    for cycle in (10, 20, 30):
        checkpoint.save(path / "checkpoints", cycle, state(cycle), facts(cycle))
    os.truncate(path / "checkpoints" / "30" / "state.npz", 100)
    return path


def said(capsys, *options):
    chosen = cli.Command(inspect_run.Options(), None).parse(list(map(str, options)))
    code = reopen.answer(lambda: inspect_run.main(chosen))
    return code, *capsys.readouterr()


def test_as_a_person_runs_it_on_a_real_run(tmp_path, unchanged):
    options = ("--dataset", "linear", "--cycles", 30, "--batch-size", 10, "--run-dir", tmp_path / "run")
    assert run("train_regression.py", *options, cwd=tmp_path).returncode == 0
    with unchanged(tmp_path / "run"):
        done = run_process("inspect_run.py", "run", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "run" and lines[1].startswith("  run          script train_regression, plan ")
    assert "checkpoints in run/checkpoints: 1" in lines and "dataset linear" in lines[2]
    assert lines[-1].split()[0] == "30" and lines[-1].endswith(", verifies")
    assert run("inspect_run.py", "--help", cwd=tmp_path).stdout.startswith("usage: inspect_run.py [-h] ")


def test_the_newest_good_checkpoint_tells_the_metrics(folder, unchanged, capsys):
    with unchanged(folder):
        code, out, err = said(capsys, folder)
    assert (code, err) == (0, "")
    lines = dict(line.strip().split(maxsplit=1) for line in out.splitlines()[1:])
    assert (lines["cycle"], lines["epoch"], lines["batches"], lines["updates"]) == ("20", "4", "40", "fit 20")
    assert lines["best"] == "metric eval/x, value 0.5, cycle 10" and lines["rejected"] == "fit 1"
    assert lines["rollbacks"] == "2" and lines["seconds"] == "5.0 of training" and lines["surroundings"] == "numpy 9.9"
    size = sum(file.stat().st_size for file in (folder / "checkpoints" / "20").iterdir())
    assert lines["20"] == f"{size:,} bytes, 3 variables, 8 numbers in nets, verifies"
    assert lines["30"].startswith("does not verify: state.npz has 100 bytes and not the ")


def test_two_checkpoints_are_compared_by_variable(folder, capsys):
    code, out, _ = said(capsys, folder, "--against", 10, folder / "checkpoints" / "20")
    assert code == 0
    lines = [line.strip() for line in out.splitlines()]
    assert "cycle: 10 and 20" in lines and "seconds: 2.5 and 5.0" in lines
    # kernels of 12 and of 22: the norm of the difference is 10 / 12 of the first one's
    assert "nets/net/000.kernel float32[3, 2]: largest difference 10, relative norm 0.833" in lines
    assert "optimizers/fit/000.iteration int64[]: largest difference 10, relative norm 1" in lines
    assert lines[-1] == "2 variables differ, 1 have the same bits"


def test_another_run_is_compared_by_its_newest_good_one(folder, tmp_path, capsys):
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text("{}")
    changed = {**state(20), "nets/net/001.bias": np.ones(4, np.float32), "nets/more/000.kernel": np.ones(1)}
    checkpoint.save(other / "checkpoints", 20, changed, {**facts(20), "config": {**CONFIG, "seed": 4}})
    code, out, _ = said(capsys, folder, "--against", other)
    lines = [line.strip() for line in out.splitlines()]
    assert code == 0 and "config seed: 3 and 4" in lines
    assert "nets/more/000.kernel: absent and float64[1]" in lines
    assert "nets/net/001.bias: float32[2] and float32[4]" in lines
    assert lines[-1] == "2 variables differ, 2 have the same bits"


@pytest.mark.parametrize("options, message", [
    (("nowhere",), "`RUN` (nowhere) must be the folder of a run: there is no such folder"),
    (("run/checkpoints",), "`RUN` (run/checkpoints) must be the folder of a run: it has no config.json"),
    (("broken",), "`RUN` (broken) must be the folder of a run: its config.json is damaged"),
    (("run", "--against", "99"), "`--against` (99) must be a checkpoint of run (10, 20, 30), its path, or another run"),
    (("run", "--against", "10", "20", "30"), "`--against` (10 20 30) must be one or two checkpoints, or another run"),
    (("run", "--against", "10", "30"), "`--against` (run/checkpoints/30) must be a checkpoint that verifies: state"),
])
def test_bad_input_is_one_line(options, message, folder, capsys, monkeypatch):
    (folder.parent / "broken").mkdir()
    (folder.parent / "broken" / "config.json").write_text("[1")
    monkeypatch.chdir(folder.parent)
    code, out, err = said(capsys, *options)
    assert (code, out) == (2, "") and err.startswith(f"error: {message}") and err.count("\n") == 1


def test_what_a_file_says_cannot_steer_the_terminal(folder, capsys):
    (folder / "config.json").write_text(json.dumps({**CONFIG, "x\x1b[2J": "\x1b]0;title\x07"}))
    out = "".join(map(str, said(capsys, folder)))
    assert "\x1b" not in out and "\x07" not in out and r"\x1b[2J" in out
