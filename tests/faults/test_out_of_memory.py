"""Scripts without enough memory: the process's own limit, and that of TensorFlow's allocator, which is the machine's.

Not where TensorFlow itself ends the process (seen in 2.21: a fused product of oneDNN writes to what it was not given):
that is as a kill.
"""

import os
import resource
import subprocess
import sys

import pytest

from engine.run import checkpoint
from tests.faults.scripted import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="limits as of Linux")]
WORDS = ("--dataset", "text-csv", "--data-dir", "data.csv", "--words", "20", "--net-option", "embedding=1000",
         "--net-option", "units=[1]", "--plan", "graph", "--checkpoint-every", "1e-6")
MEGABYTES, GIGABYTES = 10**6, 10**9


@pytest.fixture
def train(tmp_path):
    """``train(*options, allocator=None, process=None)``: train_text.py under limits, in bytes."""
    rows = [f"{'good fine' if number % 2 else 'bad poor'} film {number},{'ab'[number % 2]}" for number in range(200)]
    (tmp_path / "data.csv").write_text("\n".join(["text,label", *rows, ""]))

    def train(*options, allocator=None, process=None):
        limits = {"TF_MKL_ALLOC_MAX_BYTES": str(allocator)} if allocator else {}
        return subprocess.run(
            [sys.executable, ROOT / "scripts" / "train_text.py", *WORDS, *options], cwd=tmp_path, text=True,
            capture_output=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT), **limits},
            preexec_fn=lambda: process and resource.setrlimit(resource.RLIMIT_AS, (process, process)))
    return train


def newest(folder):
    return checkpoint.newest(folder / "checkpoints", pytest.fail)


def the_line(done):
    """Of the error; there is nothing else of it."""
    line, = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    return line


@pytest.mark.parametrize("length, batch_size, limit", [
    (200_000, 20, {"process": 12 * GIGABYTES}),  # 16 GB of embedded words
    (500, 40, {"allocator": 40 * MEGABYTES})])  # 80 MB
def test_a_batch_that_does_not_fit_is_one_line_with_what_is_in_use(train, tmp_path, length, batch_size, limit):
    line = the_line(train("--length", str(length), "--batch-size", str(batch_size), "--cycles", "3", "--run-dir", "run",
                          **limit))
    assert line.startswith(f"error: `training` (after cycle 0, batch_size {batch_size}) must be within the memory: "
                           "take a smaller batch_size (in use were up to ")
    assert line.endswith(f"OOM when allocating tensor with shape[{length},{batch_size},1000] and type float; cycle 0 "
                         "was saved")
    assert "nets and optimizers" in line and newest(tmp_path / "run").name.startswith("0")


def test_a_net_that_does_not_fit_is_one_line(train, tmp_path):
    line = the_line(train("--net-option", "embedding=10000000000", "--batch-size", "8", "--cycles", "3",
                          "--run-dir", "run"))
    assert line.startswith("error: `--batch-size` (8) must be within the memory: take a smaller one, or a smaller "
                           "net: OOM when allocating tensor with shape[")
    assert not (tmp_path / "run").exists()


def test_an_evaluation_that_does_not_fit_keeps_the_updates_and_is_made_later(train, tmp_path):
    options = ("--length", "500", "--batch-size", "1", "--cycles", "5", "--evaluate-every", "0.01875")  # 3 of 160
    line = the_line(train(*options, "--run-dir", "run", allocator=40 * MEGABYTES))
    assert line.startswith("error: `evaluation` (40 examples, 40 at a time) must be within the memory: ")
    assert line.endswith("; cycle 3 was saved") and not (tmp_path / "run" / "summary.json").exists()
    for folder in ("run", "whole"):
        done = train(*options, "--run-dir", folder)
        assert done.returncode == 0, done.stderr
    states = [(newest(tmp_path / folder) / checkpoint.STATE).read_bytes() for folder in ("run", "whole")]
    assert states[0] == states[1]
    tables = [[row.split(",")[0] for row in (tmp_path / folder / "metrics.csv").read_text().splitlines()]
              for folder in ("run", "whole")]
    assert tables[0] == tables[1]
