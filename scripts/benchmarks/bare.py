"""The hand-fused upper bound: gather, draw, update in one compiled loop, and no feature at all."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import worker
from benchmarks.worker import Arrays, Loop, Metrics, Settings
from benchmarks.workloads import Workload, reads


def candidates(workload: Workload) -> list[Settings]:
    """Both ways of compiling, on all threads and, but for convolutions under XLA, on one for an operation."""
    return [{"plan": plan, "threads": threads}
            for plan, threads in itertools.product(("graph", "xla"), (None, 1))
            if workload.small or plan == "graph" or not threads]


def make(workload: Workload, arrays: Arrays, settings: Settings) -> Loop:
    """``tf.while_loop`` over cycles; the updates of a cycle are unrolled."""
    import tensorflow as tf

    from benchmarks import plain_tf

    plain_tf.set_threads(settings["threads"])
    nets = plain_tf.make_nets(workload)
    optimizers = plain_tf.make_optimizers(workload, nets)
    data = {name: tf.constant(array) for name, array in arrays.items()}

    def part(phase: str) -> Callable[..., Any]:
        def update(batch: Any, draws: Any) -> tf.Tensor:  # terms that nobody reads would not be computed
            return tf.add_n(list(plain_tf.step(workload, phase, nets, optimizers[phase], batch, draws)[0].values()))
        return compiled(update, settings)

    parts = {phase: part(phase) for phase in workload.repeats}

    def cycle(number: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        for phase, repeats in workload.repeats.items():
            for _ in range(repeats):
                batch = plain_tf.gather(data, workload.batch_size) if reads(phase) else None
                total += parts[phase](batch, plain_tf.draw(workload, phase))
        return number + 1, total

    @tf.function(autograph=False)
    def loop(count: tf.Tensor) -> tf.Tensor:
        return tf.while_loop(lambda number, _: number < count, cycle, [tf.constant(0), 0.0])[1]

    def run(cycles: int) -> int:
        loop(tf.constant(cycles)).numpy()
        return cycles

    return Loop(run)


def compiled(function: Callable[..., Any], settings: Settings) -> Callable[..., Any]:
    """``function`` under XLA if the plan says so, else as part of the graph around it."""
    import tensorflow as tf

    return tf.function(function, jit_compile=True, autograph=False) if settings["plan"] == "xla" else function


def verify(workload: Workload, exchange: Path, settings: Settings) -> Metrics:
    """See ``worker.Contestant``."""
    import tensorflow as tf

    from benchmarks import plain_tf

    return plain_tf.verify(workload, exchange, lambda update: tf.function(compiled(update, settings), autograph=False))


if __name__ == "__main__":
    raise SystemExit(worker.main(worker.Contestant("bare", candidates, make, verify)))
