"""Samples of the stops, kills and signals; the modules of this folder do the same often, in every workload."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.slow


def told(program):
    """What ``program`` prints last, in a process that has imported TensorFlow and not used it: it forks."""
    done = subprocess.run([sys.executable, "-c", f"import json\n{program}"], cwd=ROOT, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_runs_stopped_and_continued_end_with_the_same_bits_and_table():
    good, errors = told("""
from tests.faults import resume
print(json.dumps(resume.chain("vae", "graph", [17, 40, 60])))
""")
    assert good == 3, errors


def test_runs_killed_at_random_times_and_inside_saves_continue_to_the_same_bits():
    found, errors = told("""
from tests.faults import kill
found = kill.kill(6, seed=3, chosen=[("vae", "graph")])
print(json.dumps([found.kills, found.continued, found.inside, max(found.lost), max(found.lost + found.lost_inside),
                  kill.INTERVAL]))
""")
    kills, continued, inside, lost, most, interval = found
    assert (kills, continued) == (6, 6), errors
    assert inside >= 1
    assert lost <= interval  # and what was trained while the last checkpoint went to the disk:
    assert most <= 2 * interval


def test_signals_in_training_a_save_and_a_long_evaluation_are_served_in_time():
    good, errors = told("""
import tempfile
from signal import SIGINT, SIGTERM
from tests.faults import terminate
with tempfile.TemporaryDirectory() as folder:
    attempts = terminate.Attempts(folder)
    for state, signums in (("train", [SIGTERM]), ("save", [SIGINT]), ("evaluate", [SIGTERM]),
                           ("evaluate", [SIGINT] * 2)):
        attempts.try_state(state, signums, "vae")
print(json.dumps(attempts.good))
""")
    assert good == {"train": 1, "save": 1, "evaluate": 2}, errors
