"""Samples of the kills, errors and damage at every file operation; ``files.py`` does them all, by hand."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.faults.files import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    not (sys.platform == "linux" and (shutil.which("cc") or shutil.which("gcc"))),
    reason="the C library is stood before on Linux, by what a C compiler makes")]


@pytest.mark.parametrize("options, least", [
    ("--script train_regression --kind kill --first 20 --every 50", 2),
    ("--script kfold --kind kill --first 11 --every 1000", 1),  # in the first fold's folder, before its config.json
    ("--script train_classifier --kind kill --first 120 --every 1000", 1),
    ("--script train_regression --kind EIO --first 60 --every 1000", 3),
    ("--script train_regression --kind damage --every 71", 4),
])
def test_a_disturbed_script_is_one_line_or_continues_to_the_same_end(options, least):
    done = subprocess.run([sys.executable, "-m", "tests.faults.files", *options.split()], cwd=ROOT, text=True,
                          capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\ngood ") + done.stdout.startswith("good ") >= least
