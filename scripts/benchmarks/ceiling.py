"""What this machine can do at most, measured: matrix products and a 3x3 convolution in TensorFlow, in GFLOP/s.

  python scripts/benchmarks/ceiling.py
  python scripts/benchmarks/ceiling.py --threads 1 --json runs/ceiling.json

A multiply-add is two operations. Each number is that of the fastest run. The ceiling of a kind and a type is the best
over the sizes of its products, and over TensorFlow's own kernels ("graph") and XLA's ("xla"). Where one thread does as
much as two, the cores share what multiplies.
"""

import dataclasses
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

if not __package__:  # as a person types it, from anywhere
    sys.path[:1] = [str(folder) for folder in Path(__file__).resolve().parents[1:3]]

import cli
import rules
from fields import option

from benchmarks import program

SIZES = (1024, 2048, 4096)  # sides of square matrices
BATCHES = (64,)  # pictures of 28x28x128
SIDE, CHANNELS = 28, 128
AT_ONCE = 10  # on a GPU, for which one is too short to be timed
TYPES, PLANS = ("float32", "bfloat16"), ("graph", "xla")


def ceilings(seconds: float = 1.0, sizes: Sequence[int] = SIZES, batches: Sequence[int] = BATCHES,
             threads: int | None = None) -> program.Result:
    """Measured in a fresh process: {"matmul" | "convolution": {type: {"gflops", "size", "plan", "all"}}}.

    Args:
      seconds: Seconds of timing, for each kind, type, plan and size.
      sizes: Sides of the square matrices. batches: Pictures that are convolved at once.
      threads: Threads inside one operation; None for TensorFlow's own number.

    Raises:
      Failed: If the process ends badly.
    """
    return program.run("ceiling", {"seconds": seconds, "sizes": list(sizes), "batches": list(batches),
                                   "threads": threads})


def fraction(multiply_adds: float, per_second: float, ceiling: float) -> float:
    """Of the ceiling (GFLOP/s): what ``per_second`` times ``multiply_adds`` takes."""
    return 2e-9 * multiply_adds * per_second / ceiling


def fastest(run: Callable[[], Any], seconds: float, clock: Callable[[], float] = time.perf_counter) -> float:
    """The shortest of the runs that fit into ``seconds``, at least three, after one that does not count."""
    run()
    times: list[float] = []
    while len(times) < 3 or sum(times) < seconds:
        before = clock()
        run()
        times.append(max(clock() - before, 1e-9))
    return min(times)


def measure(kind: str, dtype: str, plan: str, sizes: Sequence[int], seconds: float) -> list[program.Result]:
    """One kind in one type by one plan: a number for each size; none for those after one whose run takes too long."""
    found = []
    for size in sizes:
        run, multiply_adds = _prepared(kind, dtype, plan, size)
        took = fastest(run, seconds)
        found.append({"plan": plan, "size": size, "gflops": 2e-9 * multiply_adds / took})
        if took > seconds:  # as bfloat16 does on a processor without it
            break
    return found


def _prepared(kind: str, dtype: str, plan: str, size: int) -> tuple[Callable[[], Any], int]:
    import tensorflow as tf

    shapes = {"matmul": ([size, size], [size, size]),
              "convolution": ([size, SIDE, SIDE, CHANNELS], [3, 3, CHANNELS, CHANNELS])}[kind]
    left, right = (tf.cast(tf.random.stateless_normal(shape, [0, i]), dtype) for i, shape in enumerate(shapes))
    function = {"matmul": tf.matmul, "convolution": lambda x, kernel: tf.nn.conv2d(x, kernel, 1, "SAME")}[kind]
    compiled = tf.function(function, jit_compile=True if plan == "xla" else None, autograph=False)
    multiply_adds = {"matmul": size**3, "convolution": size * SIDE**2 * 9 * CHANNELS**2}[kind]
    if not tf.config.list_physical_devices("GPU"):
        return lambda: compiled(left, right), multiply_adds

    def several() -> None:  # a GPU computes while the host goes on
        for _ in range(AT_ONCE):
            compiled(left, right)
        tf.test.experimental.sync_devices()

    return several, AT_ONCE * multiply_adds


def measured(point: dict[str, Any]) -> program.Result:
    """What the process of ``ceilings`` does."""
    from benchmarks import plain_tf

    plain_tf.set_threads(point["threads"])
    found: program.Result = {}
    for kind, sizes in (("matmul", point["sizes"]), ("convolution", point["batches"])):
        for dtype in TYPES:
            every = [each for plan in PLANS for each in measure(kind, dtype, plan, sizes, point["seconds"])]
            found.setdefault(kind, {})[dtype] = {**max(every, key=lambda each: each["gflops"]), "all": every}
    return found


def table(found: program.Result) -> str:
    """The results; the best of each kind and type is marked."""
    rows = [[kind, dtype, each["plan"], str(each["size"]), f"{each['gflops']:.1f}",
             "best" if each == {name: best[name] for name in each} else ""]
            for kind, types in found.items() for dtype, best in types.items() for each in best["all"]]
    return program.columns(["kind", "type", "plan", "size", "GFLOP/s", ""], rows)


@dataclasses.dataclass(frozen=True)
class Options(program.Common):
    """Of this program."""

    seconds: float = option(1.0, "of timing, per result", rules.positive)
    sizes: tuple[int, ...] = option(tuple(SIZES), "sides of the square matrices", rules.whole, nargs="+")
    threads: int | None = option(None, "inside one operation (default: TensorFlow's own)", rules.whole)


def work(chosen: Options) -> tuple[program.Result, str]:
    found = (ceilings(0.02, (64, 256), (1,), chosen.threads) if chosen.quick else
             ceilings(chosen.seconds, chosen.sizes, threads=chosen.threads))
    return found, table(found)


if __name__ == "__main__":
    raise SystemExit(program.main(cli.Command(Options(), __doc__).parse(), work, measured))
