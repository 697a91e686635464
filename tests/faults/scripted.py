"""A training script, as a person runs it, that a signal ends."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

from engine.run import checkpoint
from tests.faults import workloads

ROOT = Path(__file__).parent.parent.parent
STATES = {"import": 6, "train": 3}  # how often of fifty


def start(folder):
    """The process of a script that trains in ``folder``."""
    command = [sys.executable, ROOT / "scripts" / "train_vae.py", "--plan", "graph", "--batch-size", "100", "--cycles",
               "400", "--log-every", "30", "--evaluate-every", "1", "--checkpoint-every", "1", "--run-dir", folder]
    with open(f"{folder}.log", "ab") as log:
        return subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=log, stderr=log)


def finish(folder):
    """Run to the end; the exit code."""
    return start(folder).wait()


def interrupted(state, folder, signum, draw):
    """Begin, and end by ``signum``: while it imports, or any time after its first log. Exit code, seconds it took."""
    process = start(folder)
    time.sleep(draw.uniform(0.5, 4) if state == "import" else 0)
    while state == "train" and not (folder / "metrics.csv").exists() and process.poll() is None:
        time.sleep(0.02)
    time.sleep(draw.uniform(0, 0.5))
    sent = time.monotonic()
    process.send_signal(signum)
    return process.wait(), time.monotonic() - sent


def hashes(folder):
    """Of the last state's file, and of the table."""
    newest = checkpoint.listed(folder / "checkpoints")[-1]
    return hashlib.sha256((newest / checkpoint.STATE).read_bytes()).hexdigest(), workloads.table_hash(folder)
