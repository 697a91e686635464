"""Prove and time everything on a machine with one NVIDIA GPU, in at most nine minutes.

  python scripts/gpu_check.py                             all parts: runs/gpu/results.txt and results.json
  python scripts/gpu_check.py --parts works exact
  python scripts/gpu_check.py --device cpu --smoke        a minute on a CPU: does the check itself work?

works   every script, float32, bfloat16 and float16, plans graph and xla: trains, evaluates, saves, continues; terms
        against those of the CPU; plan=auto chooses
exact   ten repeats give one result; a run stopped and continued has the same bits; a planted NaN is named
fast    ours against PyTorch at its best (where it is installed), after a check that both compute the same; where the
        time goes: kernels, transfers, and how long the GPU idles

Results are written as they come. A part that fails, or whose time is over, ends by itself alone. docs/gpu.md says
how to bring this to a machine without a network, and holds the newest results.
Exit code 1: something that must hold does not.
"""

import argparse
import importlib
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
from benchmarks.processes import machine
from gpu import fast, tasks
from gpu.kit import Kit, Report
from gpu.table import text

PARTS = {"works": 150.0, "exact": 75.0, "fast": 310.0}  # seconds of each


def options() -> cli.Parser:
    parser = cli.Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu", help="(default: %(default)s)")
    parser.add_argument("--smoke", action="store_true", help="one small case of each part, to see that the check works: "
                        "its figures mean nothing")
    parser.add_argument("--parts", nargs="+", choices=tuple(PARTS), default=list(PARTS), help="(default: all)")
    parser.add_argument("--output", type=Path, default=Path("runs/gpu"), metavar="FOLDER", help="where results.json, "
                        "results.txt and the processes' logs go (default: %(default)s)")
    parser.add_argument("--width", type=cli.whole, default=len(os.sched_getaffinity(0)), help="processes side by side, "
                        "where nothing is timed (default: the cores, %(default)s)")
    parser.add_argument("--torch-python", default=sys.executable, metavar="PATH", help="another Python for the PyTorch "
                        "peer (default: this one)")
    return parser


def main(chosen: argparse.Namespace) -> int:
    chosen.output.mkdir(parents=True, exist_ok=True)
    report = Report(chosen.output, text)
    found = facts(chosen)
    report.facts |= found
    report.write()
    print("\n".join(f"{name}: {value}" for name, value in found.items()), flush=True)
    if chosen.device == "gpu" and not found["gpu"]:
        print(f"error: `--device` (gpu) must be cpu where TensorFlow finds no GPU: {found['gpu error']}",
              file=sys.stderr)
        return 2
    logs = chosen.output / "logs"
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir()
    with tempfile.TemporaryDirectory(prefix="phaseloop-gpu-") as scratch:
        os.symlink(logs.resolve(), Path(scratch) / "logs")
        for part in chosen.parts:
            _part(chosen, part, Path(scratch), report)
    print(text(report), flush=True)
    print(chosen.output / "results.txt")
    return 1 if report.faults or any(part["error"] for part in report.parts.values()) else 0


def _part(chosen: argparse.Namespace, part: str, scratch: Path, report: Report) -> None:
    began = time.monotonic()
    kit = Kit(chosen.device, chosen.smoke, chosen.width, scratch, began + PARTS[part], report, chosen.torch_python,
              lambda line: print(line, flush=True))
    print(f"{part}: at most {PARTS[part]:.0f} s", flush=True)
    error = ""
    try:
        fast.prepare(kit)
        importlib.import_module(f"gpu.{part}").run(kit)
    except Exception as problem:  # the other parts go on
        traceback.print_exc()
        error = f"{type(problem).__name__}: {problem}"
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


def facts(chosen: argparse.Namespace) -> dict[str, Any]:
    """What the figures depend on: card, driver, versions, date."""
    torch = _output([chosen.torch_python, "-c", "import importlib.metadata as m; print(m.version('torch'))"])
    found = {**machine(torch or None), "torch": torch}
    ended = subprocess.run([sys.executable, "-c", FACTS], capture_output=True, text=True,
                           env=tasks.environment(chosen.device))
    lines = tasks.lines_of(ended.stdout)
    found |= lines[-1] if lines else {"gpu": ""}
    said = [line for line in ended.stderr.splitlines() if "GPU" in line or "Error" in line]
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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an exception, so that the temporary folder goes
    raise SystemExit(main(options().parse_args()))
