"""The program that says how cost grows, as a person types it: a process for each of its points."""

import json
import os
import subprocess
import sys

from tests.scripts.running import ROOT


def test_as_a_person_types_it(tmp_path):
    path = tmp_path / "new" / "growth.json"
    command = [sys.executable, "scripts/benchmarks/growth.py", "--quick", "--part", "data", "--source", "array",
               "--json", str(path)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    written = json.loads(path.read_text())["data"]
    assert [each["examples"] for each in written] == [1_000, 100_000]
    assert all(each["data_bytes"] == 32 * each["examples"] and each["seconds_per_batch"] > 0 for each in written)
    assert "own memory, MiB" in done.stdout and done.stdout.endswith(f"{path}\n")
