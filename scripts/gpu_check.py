"""Prove and time everything on a machine with one NVIDIA GPU, in at most nine minutes.

  python scripts/gpu_check.py                             all parts: runs/gpu/results.txt and results.json
  python scripts/gpu_check.py --parts works exact
  python scripts/gpu_check.py --device cpu --smoke        90 s on a CPU: does the check itself work?

  works   every script, float32, bfloat16 and float16, plans graph and xla:
          trains, evaluates, saves, continues; terms against those of the CPU;
          plan=auto chooses
  exact   ten repeats give one result; a run stopped and continued has the same
          bits; a planted NaN is named
  check   ours and PyTorch, where it is installed, compute the same
  fast    ours against PyTorch at its best; where the time goes: kernels,
          transfers, and how long the GPU idles

Results are written as they come. A part that fails, or whose time is over, ends by itself alone. docs/gpu.md says
how to bring this to a machine without a network, and holds the newest results.
Ctrl-C ends all processes and leaves the results so far. Exit code 1: something that must hold does not.
"""

import dataclasses
import importlib
import importlib.metadata
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import cli
import rules
from benchmarks.processes import machine
from fields import option
from gpu import fast, tasks
from gpu.kit import Kit, Report
from gpu.table import text
from rules import Choice

PARTS = {"works": 110.0, "exact": 95.0, "check": 65.0, "fast": 255.0}  # seconds of each
MINUTES = 9.0  # of all
CPU_TIMES = 4.0  # as long, on a CPU: no lent machine waits there, and it is often busy with others
FACTS_SECONDS = 120.0  # for TensorFlow to name its devices


@dataclasses.dataclass(frozen=True)
class Options:
    """Of this script."""

    device: str = option("gpu", "that computes", Choice("gpu", "cpu"))
    smoke: bool = option(False, "one small case of each part, to see that the check works: its results mean nothing",
                         bool)
    parts: tuple[str, ...] = option(tuple(PARTS), "to run (default: all)", Choice(*PARTS), nargs="+")
    precisions: tuple[str, ...] = option(tuple(fast.PRECISIONS), "that are timed (default: all)",
                                         Choice(*fast.PRECISIONS), nargs="+")
    output: Path = option(Path("runs/gpu"), "where results.json, results.txt and the processes' logs go", Path,
                          metavar="FOLDER")
    width: int = option(len(os.sched_getaffinity(0)), "processes side by side, where nothing is timed (default: the "
                        "number of cores)", rules.whole)
    torch_python: str = option(sys.executable, "another Python for the PyTorch peer (default: this one)",
                               metavar="PATH")


def main(chosen: Options) -> int:
    """The exit code: 2, with one line, for a bad option; 130 for Ctrl-C."""
    until = time.monotonic() + 60.0 * MINUTES * (CPU_TIMES if chosen.device == "cpu" else 1.0)
    if shutil.which(chosen.torch_python) is None:
        return _refused(f"`--torch-python` ({chosen.torch_python}) must be a program")
    logs = chosen.output / "logs"
    try:
        logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return _refused(f"`--output` ({chosen.output}) must be a folder to write to: {error.strerror}")
    try:
        return _all(chosen, logs, until)
    except importlib.metadata.PackageNotFoundError as error:
        return _refused(f"the package {error.name} must be installed (docs/gpu.md)")
    except KeyboardInterrupt:
        print(f"interrupted: results so far are in {chosen.output}", file=sys.stderr)
        return 130


def _refused(what: str) -> int:
    print(f"error: {what}", file=sys.stderr)
    return 2


def _all(chosen: Options, logs: Path, until: float) -> int:
    report = Report(chosen.output, text)
    found = facts(chosen)
    report.facts |= found
    print("\n".join(f"{name}: {value}" for name, value in found.items()), flush=True)
    if chosen.device == "gpu" and not found["gpu"]:
        return _refused(f"`--device` (gpu) must be cpu where TensorFlow finds no GPU: {found['gpu error']}")
    report.write()
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="phaseloop-gpu-", ignore_cleanup_errors=True) as scratch:
        os.symlink(logs.resolve(), Path(scratch) / "logs")
        for part in chosen.parts:
            _part(chosen, part, Path(scratch), report, until)
    print(text(report), flush=True)
    print(chosen.output / "results.txt")
    return 1 if report.faults or any(part["error"] for part in report.parts.values()) else 0


def _part(chosen: Options, part: str, scratch: Path, report: Report, until: float) -> None:
    began = time.monotonic()
    limit = min(PARTS[part] * (CPU_TIMES if chosen.device == "cpu" else 1.0), until - began)
    if limit <= 0:
        report.parts[part] = {"seconds": 0.0, "error": "not begun: no time was left"}
        report.write()
        return
    kit = Kit(chosen.device, chosen.smoke, chosen.width, scratch, began + limit, report, chosen.torch_python,
              chosen.precisions, lambda line: print(line, flush=True))
    print(f"{part}: at most {limit:.0f} s", flush=True)
    error = "interrupted"
    try:
        importlib.import_module(f"gpu.{part}").run(kit)
        error = ""
    except Exception as problem:  # the other parts go on
        traceback.print_exc()
        error = f"{type(problem).__name__}: {problem}"
    finally:
        report.parts[part] = {"seconds": time.monotonic() - began, "error": error}
        report.write()


FACTS = """
import json, tensorflow as tf
found = tf.config.list_physical_devices("GPU")
details = tf.config.experimental.get_device_details(found[0]) if found else {}
build = tf.sysconfig.get_build_info()
print(json.dumps({"gpu": details.get("device_name", ""), "compute capability": details.get("compute_capability"),
                  "built for CUDA": build.get("cuda_version"), "built for cuDNN": build.get("cudnn_version")}))
"""


def facts(chosen: Options) -> dict[str, Any]:
    """What the results depend on: card, driver, versions, date."""
    torch = _output([chosen.torch_python, "-c", "import importlib.metadata as m; print(m.version('torch'))"])
    found = {**machine(torch or None), "torch": torch}
    try:
        ended = subprocess.run([sys.executable, "-c", FACTS], capture_output=True, text=True, timeout=FACTS_SECONDS,
                               env=tasks.environment(chosen.device))
        output, errors = ended.stdout, ended.stderr
    except subprocess.TimeoutExpired:
        output, errors = "", f"TimeoutError: TensorFlow did not name its devices in {FACTS_SECONDS:.0f} s"
    lines = tasks.lines_of(output)
    found |= lines[-1] if lines else {"gpu": ""}
    said = [line for line in errors.splitlines() if "GPU" in line or "Error" in line]
    found["gpu error"] = "" if found["gpu"] else " ".join(said[-1:])[:300] or "no message"
    if chosen.device == "gpu":
        found["driver"] = _output(["nvidia-smi", "--query-gpu=driver_version,memory.total", "--format=csv,noheader"])
    return {**found, "date": datetime.now().astimezone().isoformat(timespec="minutes")}


def _output(command: Sequence[str]) -> str:
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ended.stdout.strip() if ended.returncode == 0 else ""


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell has put in the background ignores it else
    for number in (signal.SIGTERM, signal.SIGHUP):  # an exception, so that processes and the temporary folder go
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    raise SystemExit(main(cli.Command(Options(), __doc__).parse()))
