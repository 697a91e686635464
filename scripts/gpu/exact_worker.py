"""One process of part 2: repeats of one workload by one plan, as hashes; or a NaN that is planted.

  python -m gpu.exact_worker '{"workload": ..., "plan": ..., "which": 0, "repeats": 4, "folder": ...}'
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

STOP = 23  # the cycle after which a run is stopped, of ``tests.faults.workloads.CYCLES``
WAIT = 120.0  # seconds for the process that stops it
BAD = 77  # the number of the example that is not finite
Point = dict[str, Any]


def main(point: Point) -> int:
    folder = Path(point["folder"])
    if point["workload"] == "poison":
        print(json.dumps(_poison(point["plan"])), flush=True)
        return 0
    from tests.faults import workloads

    stopped = folder / "stopped"
    if point["which"] == 0:
        _stop(point, folder, workloads)
        stopped.touch()
    for number in range(point["repeats"]):
        trainer = workloads.make(point["workload"], point["plan"], folder / f"{point['which']}-{number}")
        trainer.events = []  # they change no bit, and compile the evaluation
        trainer.train(cycles=workloads.CYCLES)
        print(json.dumps({"hash": workloads.state_hash(trainer)}), flush=True)
    if point["which"] == 1:
        until = time.monotonic() + WAIT
        while not stopped.exists() and time.monotonic() < until:
            time.sleep(0.2)
        trainer = workloads.make(point["workload"], point["plan"], folder / "parts")
        assert trainer.counters.cycles == STOP, f"continued at cycle {trainer.counters.cycles}, stopped at {STOP}"
        assert workloads.train(trainer)
        print(json.dumps({"continued": workloads.state_hash(trainer)}), flush=True)
    return 0


def _stop(point: Point, folder: Path, workloads: Any) -> None:
    """The first part of a run, to a SIGTERM."""
    def end(trainer: Any) -> None:
        if trainer.counters.cycles == STOP:
            os.kill(os.getpid(), signal.SIGTERM)

    stop = workloads.each_cycle(end)
    trainer = workloads.make(point["workload"], point["plan"], folder / "parts", stop)
    assert not workloads.train(trainer)


def _poison(plan: str) -> Point:
    """Trains until the batch holds a NaN: named by cycle, phase and term, and the weights are those before it."""
    import keras

    from engine import ArraySource, BadUpdate, Trainer, prepare
    from losses.strategies import Supervised
    from tests.faults.workloads import state_hash

    rng = np.random.default_rng(0)
    images = rng.random((200, 8, 8, 1)).astype(np.float32)
    numbers = np.arange(200, dtype=np.int32)

    def trainer(values: Any) -> Any:
        prepare(0)
        net = keras.Sequential([keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(), keras.layers.ReLU(),
                                keras.layers.Flatten(), keras.layers.Dense(4)])
        data = ArraySource({"image": values, "label": numbers % 4}, 8, seed=1)
        return Trainer(Supervised(), {"classifier": net}, keras.optimizers.Adam(1e-3), data, plan=plan,
                       say=lambda line: None)

    order = ArraySource({"number": numbers}, 8, seed=1)
    cycle = next(k for k in range(25) if BAD in order.batch(k, ())["number"].numpy())
    poisoned = images.copy()
    poisoned[BAD, 3, 3] = np.nan
    bad = trainer(poisoned)
    try:
        bad.train(epochs=1)
    except BadUpdate as error:
        said = str(error)
    else:
        return {"error": "the NaN was not noticed"}
    good = trainer(images)
    if cycle:
        good.train(cycles=cycle)
    faults = [f"does not say {word!r}: {said}" for word in (f"cycle {cycle},", "classifier", "cross_entropy")
              if word not in said]
    if state_hash(bad) != state_hash(good):
        faults.append(f"the state is not that before the bad update ({said})")
    return {"error": "; ".join(faults), "said": said}


if __name__ == "__main__":
    raise SystemExit(main(json.loads(sys.argv[1])))
