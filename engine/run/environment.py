"""The process around a run: determinism, memory, precision, seeds. Call ``prepare`` before nets are made."""

import contextlib
import hashlib
import os
import platform
import shlex
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from engine import notebook
from engine.data.source import Source
from engine.device import device
from engine.errors import require
from engine.quiet import quiet
from engine.run import exit_codes

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

BEGAN = time.perf_counter()
# --precision -> Keras policy
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def deterministic(on: bool = True) -> None:
    """Same program, same bits.

    TensorFlow's arithmetic optimizer rewrites sums into accumulators that add in whatever order their
    inputs arrive, also under ``enable_op_determinism``; it is switched off. On CPUs that is all it takes; GPUs
    need ``enable_op_determinism``, which on CPUs would only make XLA refuse the gradient of max pooling.
    """
    tf.config.optimizer.set_experimental_options({"arithmetic_optimization": not on})
    if on and device().op_determinism:
        tf.config.experimental.enable_op_determinism()


def doubts(source: Source) -> list[str]:
    """Why a run on ``source`` may give other bits in a repeat; nothing if it does not."""
    found = []
    if tf.config.optimizer.get_experimental_options().get("arithmetic_optimization", True):
        found.append("TensorFlow's arithmetic optimizer is on: it adds in whatever order is ready first")
        if device().op_determinism:
            found.append("operations on the GPU may add in any order")
    return [*found, *source.doubts]


def prepare(seed: int = 0, precision: str = "float32", deterministically: bool = True) -> None:
    """Set the process up for a run: determinism, GPU memory growth, Keras's dtype policy, initial weights' seed.

    Args:
      seed: Seed of the nets' initial weights; at least 0 and below 2**32.
      precision: "float32", or "bfloat16" or "float16" for compute in half precision on float32 variables.
      deterministically: Whether a repeat must give the same bits.

    Raises:
      Invalid: A seed or precision out of range.
    """
    require(0 <= seed < 2**32, "seed", seed, "at least 0 and below 2**32")
    require(precision in POLICIES, "precision", precision, f"one of {', '.join(POLICIES)}")
    exit_codes.install()  # asks for the partners, before TensorFlow is in use
    with quiet():
        gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        os.environ["XLA_FLAGS"] = xla_flags(os.environ.get("XLA_FLAGS", ""))
    for gpu in gpus:
        with contextlib.suppress(RuntimeError):  # TensorFlow is in use already, in a notebook, and has taken its memory
            tf.config.experimental.set_memory_growth(gpu, True)
    deterministic(deterministically)
    keras.config.set_dtype_policy(POLICIES[precision])
    keras.utils.set_random_seed(seed)


def xla_flags(given: str) -> str:
    """``given`` and, unless it speaks of them: loops and branches are part of CUDA graphs; products are cuBLAS's.

    A loop that is not waits for the host at every turn: 6 150 updates a second of a dense VAE on an H100, and 3 800
    without CUDA graphs. Where bits must be equal XLA's own products (Triton) take the first tiling, not the best: 4 100
    and, with cuBLAS, 5 200 of another run, ResNet-18 in bfloat16 65 and 170; and of some shapes they end the process.
    XLA reads the variable when it first compiles.
    """
    ours = {"--xla_gpu_enable_command_buffer": "+WHILE,+CONDITIONAL", "--xla_gpu_enable_triton_gemm": "false"}
    return " ".join([*given.split(), *(f"{name}={value}" for name, value in ours.items() if name not in given)])


def versions() -> dict[str, str]:
    """Versions of what a run's numbers depend on."""
    return {"python": platform.python_version(), "tensorflow": tf.__version__, "keras": keras.__version__,
            "numpy": np.__version__}


def peak_memory() -> int:
    """The process's largest resident memory so far, bytes; 0 where the system does not tell."""
    if resource is None:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts in bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def surroundings() -> dict[str, str]:
    """What the bits of a run depend on beside the run itself: a continuation elsewhere may have others."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = tf.config.threading
    return {**versions(), "CPUs": str(cpus), "processor": _processor(), "device": device().name,
            "oneDNN": os.environ.get("ONEDNN_MAX_CPU_ISA", "") + os.environ.get("TF_ENABLE_ONEDNN_OPTS", ""),
            "threads": f"{threads.get_intra_op_parallelism_threads()} and {threads.get_inter_op_parallelism_threads()}"}


def _processor() -> str:
    """Its architecture, and a digest of the instruction sets that it has."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
        return f"{platform.machine()} {hashlib.sha256(' '.join(sorted(flags.split())).encode()).hexdigest()[:8]}"
    return f"{platform.machine()} {platform.processor()}"


def age() -> float:
    """Seconds since the process began; since Python did, where the system does not tell."""
    try:
        after_name = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        began = int(after_name[19]) / os.sysconf("SC_CLK_TCK")  # after the system's start
        return time.clock_gettime(time.CLOCK_BOOTTIME) - began
    except (OSError, AttributeError, ValueError, IndexError):
        return time.perf_counter() - BEGAN


def described() -> dict[str, str]:
    """What a process computes with, for people: its command, processor, and the commit of the program's folder."""
    command = notebook.name() if notebook.in_notebook() else shlex.join([Path(sys.executable).name, *sys.argv])
    found = {"command": command, "processor": _model(), "cpus": str(os.cpu_count())}
    where = str(Path.cwd() if notebook.in_notebook() else Path(sys.argv[0] or ".").resolve().parent)
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        git = ["git", "-C", where, "describe", "--always", "--dirty", "--abbrev=40"]
        done = subprocess.run(git, capture_output=True, text=True, timeout=5, check=True, stdin=subprocess.DEVNULL)
        found["git_commit"] = done.stdout.strip()
    return found


def _model() -> str:
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return platform.processor() or platform.machine()
