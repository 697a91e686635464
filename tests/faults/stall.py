"""How long a checkpoint of a 100 MB state stops training, against one copy of that state in memory.

  python -m tests.faults.stall [--repeats 15]      on a machine that does nothing else: about a minute

Both are measured in one training, in turns, the writer at rest; medians. The stall is the time between two calls of the
compiled loop, from the trainer's own readings of its clock, events and all. It must be at most 1.5 copies.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from engine import ArraySource, Event, Every, LossStrategy, Phase, Trainer, prepare
from engine.run import checkpoint
from engine.run.state import variables_of

MOST = 1.5


class Small(LossStrategy):
    """A loss that costs nothing beside its net."""

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"])]

    def loss(self, nets, batch, noise):
        return {"error": tf.square(nets["net"](batch["x"])[:, 0] - 1.0)}


def measure(repeats):
    """Bytes of the state, medians of the stall and of a copy in seconds, and the ratios of the pairs."""
    readings, stalls, copies = [], [], []

    def clock():
        readings.append(time.perf_counter())
        return readings[-1]

    def act(trainer, means):
        cycle = trainer.counters.cycles
        if cycle % 2:
            copies.append(_copy(trainer))
        else:
            trainer.save()

    def rest(trainer, means):
        """Wait until the writer is done: a save is due at even cycles, looked at in the odd ones before the copy."""
        saved = Path(folder) / "run" / "checkpoints" / str(trainer.counters.cycles - 1)
        while trainer.counters.cycles > 2 and trainer.counters.cycles % 2 and not saved.exists():
            time.sleep(0.01)
        time.sleep(0.2)

    def mark(trainer, means):
        marks.append((trainer.counters.cycles, time.perf_counter()))

    prepare(0)
    marks = []
    net = keras.Sequential([keras.layers.Dense(5000), keras.layers.Dense(5000), keras.layers.Dense(1)])
    data = ArraySource({"x": np.ones([64, 100], np.float32)}, 8)
    with tempfile.TemporaryDirectory() as folder:
        events = [Event(Every(cycles=1), what, at_end=False) for what in (rest, mark, act)]
        trainer = Trainer(Small(), {"net": net}, keras.optimizers.SGD(1e-6), data, run_dir=Path(folder) / "run",
                          record=False,
                          cycles_per_call=1, clock=clock, events=events, keep=2)
        size = sum(v.numpy().nbytes for v in variables_of(trainer.engine).values())
        trainer.train(cycles=2 * repeats + 3)
        assert checkpoint.newest(Path(folder) / "run" / "checkpoints", print) is not None
    for cycle, began in marks:
        after = next((reading for reading in readings if reading > began), None)
        if cycle % 2 == 0 and cycle > 2 and after:  # the first of each touches its memory for the first time
            stalls.append(after - began)
    copies = copies[1:len(stalls) + 1]
    return size, statistics.median(stalls), statistics.median(copies), sorted(
        stall / copy for stall, copy in zip(stalls, copies, strict=False))


def _copy(trainer):
    """Seconds of one copy of the whole state in memory of its own."""
    arrays = [v.numpy() for v in variables_of(trainer.engine).values()]
    began = time.perf_counter()
    held = [array.copy() for array in arrays]
    spent = time.perf_counter() - began
    assert len(held) == len(arrays)
    return spent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    size, stall, copy, ratios = measure(parser.parse_args().repeats)
    print(f"{size / 1e6:.0f} MB: a checkpoint stalls training for {1e3 * stall:.1f} ms, a copy takes {1e3 * copy:.1f} "
          f"ms: {stall / copy:.2f} copies (pairs {ratios[0]:.2f} to {ratios[-1]:.2f}), at most {MOST}")
    return int(stall > MOST * copy)


if __name__ == "__main__":
    raise SystemExit(main())
