"""Starting the contestants' processes, and what is known of the machine."""

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.worker import Settings

ROOT = Path(__file__).parents[2]
MODULES = {"ours": "ours", "bare": "bare", "keras": "keras_fit", "torch": "torch_loop", "notes": "notes"}
PEERS = ("keras", "torch", "notes", "bare")
LIMIT = 4 * 3600.0  # seconds for one process, a whole trial included


class Failed(RuntimeError):
    """A process of the benchmark ended badly: one line that says which and why."""


class Workers:
    """Runs contestants, each in a fresh process on the CPU.

    Args:
      data: Folder with the inputs; compilers' caches are put there too, so that each benchmark starts without.
      torch_python: The Python of the PyTorch peer.
      precision: "float32" or "bfloat16", of every contestant.
    """

    def __init__(self, data: Path, torch_python: str = sys.executable, precision: str = "float32") -> None:
        self.data, self._torch_python, self.precision = data, torch_python, precision
        paths = [str(ROOT / "scripts"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "KERAS_BACKEND": "tensorflow",
                             "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1",
                             "TORCHINDUCTOR_CACHE_DIR": str(data / "inductor")}

    def prepare(self, workloads: list[str]) -> None:
        """Write the inputs; in a process of its own, so that this one stays small."""
        self._run([sys.executable, "-m", "benchmarks.inputs", str(self.data), *workloads])

    def run(self, contestant: str, workload: str, *options: str, settings: Settings | None = None) -> dict[str, Any]:
        """The JSON line of a contestant; its progress goes to standard error. Raises ``Failed``."""
        python = self._torch_python if contestant == "torch" else sys.executable
        chosen = ["--settings", json.dumps(settings)] if settings else []
        command = [python, "-m", f"benchmarks.{MODULES[contestant]}", "--workload", workload, "--precision",
                   self.precision, "--data", str(self.data)]
        return json.loads(self._run([*command, *chosen, *options], "--trial" in options).splitlines()[-1])

    def torch_version(self) -> str | None:
        """None if PyTorch is not installed."""
        script = "import importlib.metadata as m; print(m.version('torch'))"
        ended = subprocess.run([self._torch_python, "-c", script], capture_output=True, text=True)
        return ended.stdout.strip() if ended.returncode == 0 else None

    def _run(self, command: list[str], show: bool = False) -> str:
        ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=None if show else subprocess.PIPE, text=True,
                               env=self._environment, timeout=LIMIT)
        if ended.returncode or (not ended.stdout.strip() and "benchmarks.inputs" not in command):
            last = (ended.stderr or "see above").strip().splitlines()[-1:]
            raise Failed(f"{' '.join(command[1:5])} ended with {ended.returncode}: {' '.join(last)[:300]}")
        return ended.stdout


def machine(torch: str | None, read: Callable[[Path], str] = Path.read_text) -> dict[str, Any]:
    """What results depend on: cores, processor, versions, load, date."""
    try:
        lines = read(Path("/proc/cpuinfo")).splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = {name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy")}
    return {"processor": model, "cores": cores, "load": round(os.getloadavg()[0], 2), "system": platform.platform(),
            "python": platform.python_version(), **versions, "torch": torch or "not installed",
            "date": datetime.now().astimezone().isoformat(timespec="seconds")}
