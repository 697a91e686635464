"""The check of a machine with a GPU, tried on a CPU: to its end, and stopped in its middle."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.scripts.running import ENVIRONMENT, ROOT

pytestmark = [pytest.mark.fault, pytest.mark.slow]
COMMAND = [sys.executable, str(ROOT / "scripts" / "gpu_check.py"), "--device", "cpu", "--smoke", "--output"]


def test_the_check_works_on_a_cpu(tmp_path):
    done = subprocess.run([*COMMAND, str(tmp_path)], env=ENVIRONMENT, capture_output=True, text=True, check=False,
                          timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    found = json.loads((tmp_path / "results.json").read_text())
    assert {name: part["error"] for name, part in found["parts"].items()} == dict.fromkeys(
        ("works", "exact", "check", "fast"), "")
    rows = found["rows"]
    assert [len(rows[part]) for part in ("works", "exact")] == [8 + 3, 3]
    assert all(row["ok"] for part in ("works", "exact") for row in rows[part])
    assert not [row for part in rows.values() for row in part if row.get("ok") is False or "missing" in row]
    assert {row["settings"]["plan"] for row in rows["fast"] if row["contestant"] == "ours"} == {"graph", "xla"}
    assert all(row["updates_per_second"] > 0 for row in rows["fast"])
    text = (tmp_path / "results.txt").read_text()
    assert text in done.stdout and "## fast" in text and "11 of 11" in text and "FAILED" not in text


def read(place):
    """A file of /proc; "" of a process that is gone."""
    try:
        return Path("/proc", place).read_text()
    except OSError:
        return ""


def descendants(pid):
    """Processes that a process began, and those that these began."""
    children = [int(child) for file in Path(f"/proc/{pid}/task").glob("*/children") for child in read(file).split()]
    return children + [below for child in children for below in descendants(child)]


def alive(pid):
    """Whether it is there, and no zombie."""
    return read(f"{pid}/stat").rpartition(")")[2].split()[:1] not in ([], ["Z"])


@pytest.mark.parametrize("signum, part, code", [(signal.SIGINT, "exact", 130), (signal.SIGTERM, "works", 143),
                                                (signal.SIGHUP, "fast", 129)])
def test_a_signal_ends_all_processes_and_leaves_the_results(signum, part, code, tmp_path):
    output, scratch = tmp_path / "out", tmp_path / "scratch"
    scratch.mkdir()
    process = subprocess.Popen([*COMMAND, str(output), "--parts", part], env={**ENVIRONMENT, "TMPDIR": str(scratch)},
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until, pids = time.monotonic() + 120, []
    while time.monotonic() < until and not (pids and list((output / "logs").glob(f"{part}.*"))):
        assert process.poll() is None
        time.sleep(0.2)
        pids = descendants(process.pid)
    process.send_signal(signum)
    said, errors = process.communicate(timeout=30)
    assert process.returncode == code and pids, said + errors
    assert errors == (f"interrupted: results so far are in {output}\n" if signum == signal.SIGINT else "")
    until = time.monotonic() + 10
    while any(map(alive, pids)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(map(alive, pids)) and not list(scratch.glob("phaseloop-gpu-*"))
    assert json.loads((output / "results.json").read_text())["parts"][part]["error"] == "interrupted"
