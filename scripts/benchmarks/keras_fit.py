"""Keras ``fit`` with a ``train_step`` of one's own, at the best of its settings."""

import itertools
import math
from pathlib import Path
from typing import Any

from benchmarks import worker
from benchmarks.worker import Arrays, Loop, Metrics, Settings
from benchmarks.workloads import Workload, reads


def candidates(workload: Workload) -> list[Settings]:
    """``jit_compile`` x ``steps_per_execution`` x threads; where updates are small also arrays handed to ``fit``."""
    if not workload.small:  # under XLA convolutions take minutes to compile, or to run: once is enough
        return [{"jit": jit, "steps": count, "data": "pipeline", "threads": threads}
                for jit, count, threads in (*itertools.product((False,), (1, 8), (None, 1)), (True, 8, None))]
    steps = (1, 32) if workload.loss == "binary" else (1, 32, 512)
    made = [{"jit": jit, "steps": count, "data": "pipeline", "threads": threads}
            for jit, count, threads in itertools.product((False, True), steps, (None, 1))]
    return made + [{"jit": jit, "steps": 32, "data": "arrays", "threads": None} for jit in (False, True)]


def make(workload: Workload, arrays: Arrays, settings: Settings) -> Loop:
    """A step of ``fit`` is a whole cycle; it is handed the cycle's batches as one, which it splits."""
    import tensorflow as tf

    from benchmarks import plain_tf

    plain_tf.set_threads(settings["threads"])
    model = _model(workload)
    model.compile(optimizer=next(iter(model.adam.values())), jit_compile=settings["jit"],
                  steps_per_execution=settings["steps"])
    together, steps = workload.batches * workload.batch_size, settings["steps"]
    if settings["data"] == "arrays":
        per_epoch = len(next(iter(arrays.values()))) // together
        whole = {name: array[:per_epoch * together] for name, array in arrays.items()}

        def run(cycles: int) -> int:
            epochs = math.ceil(cycles / per_epoch)
            model.fit(whole, batch_size=together, epochs=epochs, verbose=0)
            return epochs * per_epoch

        return Loop(run)
    data = {name: tf.constant(array) for name, array in arrays.items()}
    # No shuffle buffer to fill: faster than from_tensor_slices().shuffle().batch().
    dataset = tf.data.Dataset.range(2**40).map(lambda _: plain_tf.gather(data, together), num_parallel_calls=1)
    # At the end of a fit tf.data waits for the thread that tunes it, which sleeps 10, 20, 40 ... ms: a fit of 1.7 s
    # would take 2.55, one of 2.6 s 5.11.
    tuning = tf.data.Options()
    tuning.autotune.enabled = False
    dataset = dataset.prefetch(4).with_options(tuning)

    def run_pipeline(cycles: int) -> int:
        cycles = math.ceil(cycles / steps) * steps
        model.fit(dataset, epochs=1, steps_per_epoch=cycles, verbose=0)
        return cycles

    return Loop(run_pipeline)


def _model(workload: Workload) -> Any:
    import keras
    import tensorflow as tf

    from benchmarks import plain_tf

    class Model(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.nets = plain_tf.make_nets(workload, stock=True)
            self.adam = plain_tf.make_optimizers(workload, self.nets)
            self.built = True

        def train_step(self, data: Any) -> dict[str, tf.Tensor]:
            together, _, _ = keras.utils.unpack_x_y_sample_weight(data)
            batches = _split(together)
            losses = {}
            for phase, repeats in workload.repeats.items():
                for _ in range(repeats):
                    batch = next(batches) if reads(phase) else None
                    terms, _ = plain_tf.step(workload, phase, self.nets, self.adam[phase], batch,
                                             plain_tf.draw(workload, phase))
                losses[phase] = tf.add_n(list(terms.values()))
            return losses

    def _split(together: dict[str, tf.Tensor]) -> Any:
        count = workload.batches
        parts = {name: tf.split(tf.ensure_shape(together[name], [count * workload.batch_size, *each.shape]), count)
                 for name, each in workload.inputs.items()}
        return iter([{name: parts[name][i] for name in parts} for i in range(count)])

    return Model()


def verify(workload: Workload, exchange: Path, settings: Settings) -> Metrics:
    """See ``worker.Contestant``."""
    import tensorflow as tf

    from benchmarks import plain_tf

    return plain_tf.verify(workload, exchange, lambda update: tf.function(update, jit_compile=settings["jit"]),
                           stock=True)


if __name__ == "__main__":
    raise SystemExit(worker.main(worker.Contestant("keras", candidates, make, verify, 120.0)))
