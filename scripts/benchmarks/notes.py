"""The study notes' loop: eager ``GradientTape``, a ``for`` over ``tf.data`` batches, no ``tf.function``."""

from pathlib import Path

from benchmarks import worker
from benchmarks.worker import Arrays, Loop, Metrics, Settings
from benchmarks.workloads import Workload, reads


def candidates(workload: Workload) -> list[Settings]:
    """One: there is nothing to set."""
    return [{"threads": None}]


def make(workload: Workload, arrays: Arrays, settings: Settings) -> Loop:
    """Every operation runs as Python reaches it."""
    import tensorflow as tf

    from benchmarks import plain_tf

    plain_tf.set_threads(settings["threads"])
    nets = plain_tf.make_nets(workload, stock=True)
    optimizers = plain_tf.make_optimizers(workload, nets)
    dataset = tf.data.Dataset.from_tensor_slices(arrays).shuffle(len(next(iter(arrays.values())))).repeat()
    batches = iter(dataset.batch(workload.batch_size).prefetch(tf.data.AUTOTUNE))

    def run(cycles: int) -> int:
        for _ in range(cycles):
            for phase, repeats in workload.repeats.items():
                for _ in range(repeats):
                    batch = next(batches) if reads(phase) else None
                    plain_tf.step(workload, phase, nets, optimizers[phase], batch, plain_tf.draw(workload, phase))
        return cycles

    return Loop(run)


def verify(workload: Workload, exchange: Path, settings: Settings) -> Metrics:
    """See ``worker.Contestant``."""
    from benchmarks import plain_tf

    return plain_tf.verify(workload, exchange, lambda update: update, stock=True)


if __name__ == "__main__":
    raise SystemExit(worker.main(worker.Contestant("notes", candidates, make, verify)))
