"""What scaling.py records of real updates on this machine, each in a process of its own."""

import dataclasses
import functools
import hashlib
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

AS = 8  # workers of which the recording process is the first
PRECISION = 6  # decimals of seconds


def measured(point: dict[str, Any]) -> dict[str, Any]:
    """The updates of one workload: when each was done, what it would have summed, what a checkpoint costs."""
    from benchmarks import inputs, ours, plain_tf
    from benchmarks.workloads import WORKLOADS

    plain_tf.set_threads(1)
    from engine import StepEngine, Update, prepare
    from engine.run.state import variables_of

    workload = WORKLOADS[point["workload"]]
    whole = dataclasses.replace(workload, batch_size=AS * workload.batch_size)
    arrays = inputs.made(workload)
    prepare(0)
    nets, noting = plain_tf.make_nets(workload, stock=True), _noting()  # whose batch norm is over all workers
    updates = {name: Update(each) for name, each in plain_tf.make_optimizers(workload, nets).items()}
    phases = ours.strategy(workload).phases()
    engine = StepEngine(phases, nets, updates, ours.source(whole, arrays), plan="graph", workers=noting)
    engine.run(point["warm"] + 1)
    noting.times.clear()
    engine.run(point["updates"] + 1)
    sums = [each for each in noting.sums if each["name"].startswith("update")]
    others = [each for each in noting.sums if each not in sums]
    source = ours.source(workload, arrays)
    return {"workload": workload.name, "batch": workload.batch_size, "as": AS,
            "batch_bytes": sum(array[:workload.batch_size].nbytes for array in arrays.values()),
            "seconds": _between(noting.times, 0), "processor_seconds": _between(noting.times, 1),
            "reading_seconds": _median(functools.partial(source.batch, 0, ()), 20),
            "sums": sums, "statistics": others, **_checkpoint(variables_of(engine))}


def _between(times: list[tuple[float, float]], place: int) -> list[float]:
    return [round(after[place] - before[place], PRECISION) for before, after in itertools.pairwise(times)]


def _median(act: Callable[[], object], times: int, clock: Callable[[], float] = time.process_time) -> float:
    spent = []
    for _ in range(times):
        before = clock()
        act()
        spent.append(clock() - before)
    return round(statistics.median(spent), PRECISION)


def _noting() -> Any:
    """The first of ``AS`` workers, whose partners add nothing; it notes each sum, and when an update's was."""
    import tensorflow as tf

    from engine.workers.workers import Workers

    class Noting(Workers):
        count = AS

        def __init__(self) -> None:
            self.sums: list[dict[str, Any]] = []
            self.times: list[tuple[float, float]] = []

        def sum(self, tensor: Any, name: str) -> Any:
            self.sums.append({"name": name, "numbers": int(tensor.shape[0])})

            def note(values: np.ndarray) -> np.ndarray:
                if name.startswith("update"):
                    self.times.append((time.perf_counter(), time.process_time()))
                return values

            return tf.ensure_shape(tf.numpy_function(note, [tensor], tensor.dtype), tensor.shape)

    return Noting()


def _checkpoint(variables: Any) -> dict[str, Any]:
    """What all wait for (a digest on each, a copy by the chief), and what is done beside training (writing)."""
    from engine.run import checkpoint

    state = checkpoint.copied(variables)

    def digest() -> None:
        found = hashlib.blake2b(digest_size=8)
        for variable in variables.values():
            found.update(np.ascontiguousarray(variable.numpy()).tobytes())

    with tempfile.TemporaryDirectory() as folder:
        numbers = iter(range(1000))
        return {"state_bytes": sum(array.nbytes for array in state.values()),
                "digest_seconds": _median(digest, 5),
                "copy_seconds": _median(lambda: checkpoint.copied(variables), 5),
                "write_seconds": _median(lambda: checkpoint.save(Path(folder), next(numbers), state, {}), 5,
                                         time.perf_counter)}
