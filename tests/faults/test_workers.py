"""Samples of what workers.py and worker_others.py do often, and in every place."""

import os
import subprocess
import sys

import pytest

from tests.faults.files import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="processes are seen in /proc")]


def done(program):
    """What ``program`` prints, in a process that has imported TensorFlow and not used it: it forks."""
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, text=True, capture_output=True, check=False,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=280)


def test_workers_that_are_killed_stopped_and_told_to_end_leave_the_bits_of_a_run_never_disturbed():
    found = done("""
import tempfile
from tests.faults import workers
with tempfile.TemporaryDirectory() as place:
    cases = workers.Cases(2, place)
    for kind, at in (("kill-chief", "training"), ("stop-worker", "evaluation"), ("term-one", "save"),
                     ("kill-in-broadcast", "state")):
        assert cases.one(kind, at, ("vae", 2))
""")
    assert found.returncode == 0, found.stdout + found.stderr
    assert found.stdout.count("the same end") == 4


def test_what_is_not_to_be_started_again_is_told_in_words():
    found = done("""
import tempfile
from tests.faults import worker_others
with tempfile.TemporaryDirectory() as place:
    others = worker_others.Others(place)
    assert all(map(others.run, ("locked", "alone", "log")))
""")
    assert found.returncode == 0, found.stdout + found.stderr
