"""Keras ``fit`` with a ``train_step`` of one's own, at the best of its settings."""

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import worker
from benchmarks.worker import Figures, Loop, Settings
from benchmarks.workloads import Workload


def candidates(workload: Workload) -> list[Settings]:
    """``jit_compile`` x ``steps_per_execution`` x threads; arrays handed to ``fit``, or a pipeline in memory."""
    if workload.name == "vae":
        made = [{"jit": jit, "steps": steps, "data": "pipeline", "threads": threads}
                for jit, steps, threads in itertools.product((False, True), (1, 32, 512), (None, 1))]
        return made + [{"jit": jit, "steps": 32, "data": "arrays", "threads": None} for jit in (False, True)]
    return [{"jit": jit, "steps": steps, "data": "pipeline", "threads": None}
            for jit, steps in ((False, 1), (False, 4), (True, 1))]


def make(workload: Workload, images: np.ndarray, settings: Settings) -> Loop:
    """A step of ``fit`` is a whole cycle; it is handed the cycle's batches as one, which it splits."""
    import tensorflow as tf

    from benchmarks import plain_tf

    plain_tf.set_threads(settings["threads"])
    model = _model(workload)
    model.compile(optimizer=next(iter(model.adam.values())), jit_compile=settings["jit"],
                  steps_per_execution=settings["steps"])
    together, steps = workload.batches * workload.batch_size, settings["steps"]
    if settings["data"] == "arrays":
        per_epoch = len(images) // together
        images = images[:per_epoch * together]

        def run(cycles: int) -> int:
            epochs = math.ceil(cycles / per_epoch)
            model.fit(images, batch_size=together, epochs=epochs, verbose=0)
            return epochs * per_epoch

        return Loop(run)
    data = tf.constant(images)

    def gather(_: Any) -> tf.Tensor:  # no shuffle buffer to fill: faster than from_tensor_slices().shuffle().batch()
        return tf.gather(data, tf.random.uniform([together], 0, len(images), tf.int32))

    dataset = tf.data.Dataset.range(2**40).map(gather, num_parallel_calls=1).prefetch(tf.data.AUTOTUNE)

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
            self.nets = plain_tf.make_nets(workload)
            self.adam = plain_tf.make_optimizers(workload, self.nets)
            self.built = True

        def train_step(self, data: Any) -> dict[str, tf.Tensor]:
            images, _, _ = keras.utils.unpack_x_y_sample_weight(data)
            images = tf.ensure_shape(images, [workload.batches * workload.batch_size, *workload.shape])
            batches = iter(tf.split(images, workload.batches))
            losses = {}
            for phase, repeats in workload.repeats.items():
                for _ in range(repeats):
                    raw = None if phase == "generator" else next(batches)
                    terms, _ = plain_tf.step(phase, self.nets, self.adam[phase], raw, plain_tf.draw(workload, phase))
                losses[phase] = tf.add_n(list(terms.values()))
            return losses

    return Model()


def verify(workload: Workload, exchange: Path, settings: Settings) -> Figures:
    """See ``worker.Contestant``."""
    import tensorflow as tf

    from benchmarks import plain_tf

    return plain_tf.verify(workload, exchange, lambda update: tf.function(update, jit_compile=settings["jit"]))


if __name__ == "__main__":
    raise SystemExit(worker.main(worker.Contestant("keras", candidates, make, verify)))
