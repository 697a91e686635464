"""The order of examples over three epochs, with 20 interruptions at random cycles: nothing lost, nothing repeated.

  python -m tests.faults.order [--interruptions 20]      arrays and a folder of pictures, graph and xla: about 2 minutes

The loss itself notes which examples each update sees. Half of the interruptions are a SIGTERM, which saves; the others
end at once, and the run goes on from an older checkpoint: what it sees again must be what it saw there before.
"""

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from engine import ArraySource, Event, Every, Interrupted, LossStrategy, Phase, Trainer, prepare
from engine.data.image_folder import image_folder
from tests import painted, toys

EXAMPLES, BATCH, EPOCHS = 402, 8, 3  # 2 of the examples are dropped in each epoch, others each time
READS = 3  # updates per cycle, each on a batch of its own: an epoch of 50 batches does not end with a cycle
CYCLES = -(-EPOCHS * (EXAMPLES // BATCH) // READS)


class Killed(Exception):
    """The end of a process, as far as the run can tell."""


class Noting(LossStrategy):
    """Two phases that move one net; its state ``seen`` [updates, B] holds the examples of each update."""

    def state(self):
        return {"seen": np.full([CYCLES * READS, BATCH], -1, "int32"), "count": np.int32(0)}

    def phases(self):
        noting = {"updates": ["net"], "passes": ["number"], "after": self.note}
        return [Phase("twice", self.loss, repeats=2, **noting), Phase("once", self.loss, **noting)]

    def note(self, nets, state, seen):
        here = tf.range(CYCLES * READS)[:, None] == state["count"]
        return {"seen": tf.where(here, seen["number"][None, :], state["seen"]), "count": state["count"] + 1}

    def loss(self, nets, batch, noise):
        if "image" in batch:  # its number is its color
            color = tf.cast(batch["image"][:, 0, 0, :2], tf.int32)
            number = color[:, 0] + 256 * color[:, 1]
        else:
            number = batch["number"]
        return {"number": number,
                "error": tf.square(nets["net"](tf.cast(number[:, None], tf.float32) / EXAMPLES)[:, 0] - 1.0)}


def arrays(folder):
    """Numbered examples in memory."""
    return ArraySource({"number": np.arange(EXAMPLES, dtype=np.int32)}, BATCH, seed=3)


def pictures(folder):
    """Numbered pictures in files, of two classes."""
    for number in range(0 if folder.exists() else EXAMPLES):
        color = np.full((2, 2, 3), (number % 256, number // 256, 0), np.uint8)
        painted.save(folder / "ab"[number % 2] / f"{number:03}.png", color)
    return image_folder(folder, (2, 2), validation=0, in_memory=False).source("train", BATCH, seed=3)


SOURCES = {"arrays": arrays, "pictures": pictures}


def session(source, plan, run_dir, stop=None, harshly=False):
    """From where the run stands to cycle ``stop`` or the end. Returns the first update and what each one saw."""
    def interrupt(trainer, means):
        if trainer.counters.cycles == stop:
            if harshly:
                raise Killed
            os.kill(os.getpid(), signal.SIGTERM)

    prepare(0)
    noting = Noting()
    updates = {"twice": toys.adam(), "once": toys.adam()}
    save = Event(Every(cycles=4), lambda trainer, means: trainer.save())
    trainer = Trainer(noting, {"net": toys.net(1)}, updates, source, plan=plan, run_dir=run_dir, record=False,
                      cycles_per_call=5,
                      events=[save, Event(Every(cycles=1), interrupt)] if stop else [])
    start = trainer.engine.place.slot
    try:
        trainer.train(cycles=CYCLES)
        assert not stop
    except (Interrupted, Killed):
        assert trainer.counters.cycles == stop
    state = trainer.engine.state
    return start, state["seen"].numpy()[start:state["count"].numpy()]


def faults(name, plan, interruptions, seed=0):
    """What was lost, repeated or out of order; nothing if all is well."""
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder, found, bad = Path(temporary), {}, []
        _, whole = session(SOURCES[name](folder / "data"), plan, None)
        for number, stop in enumerate([*np.sort(rng.permutation(np.arange(1, CYCLES))[:interruptions]), None]):
            start, seen = session(SOURCES[name](folder / "data"), plan, folder / "run", stop, number % 2 == 1)
            if start > len(found):
                bad.append(f"session {number} began at update {start}, but only {len(found)} were seen")
            for update, examples in enumerate(seen.tolist(), start):
                if found.setdefault(update, examples) != examples:
                    bad.append(f"update {update} saw {examples}, and before {found[update]}")
    if len(found) != CYCLES * READS or [found[i] for i in sorted(found)] != whole.tolist():
        bad.append("another order than that of the run that nothing interrupted")
    return bad + [fault for epoch in range(EPOCHS) for fault in _epoch(epoch, found)]


def _epoch(number, found):
    """An epoch holds each example at most once, and all but the remainder."""
    batches = EXAMPLES // BATCH
    seen = [example for update in range(number * batches, (number + 1) * batches) for example in found[update]]
    if len(set(seen)) != len(seen) or not set(seen) <= set(range(EXAMPLES)):
        return [f"epoch {number} repeats {len(seen) - len(set(seen))} examples"]
    return [] if len(seen) == batches * BATCH else [f"epoch {number} saw {len(seen)} examples"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interruptions", type=int, default=20)
    options, lost = parser.parse_args(), 0
    for name in SOURCES:
        for plan in ("graph", "xla"):
            found = faults(name, plan, options.interruptions)
            lost += len(found)
            for fault in found:
                print(f"{name} {plan}: {fault}", file=sys.stderr)
            print(f"{name:10}{plan:7}{EPOCHS} epochs of {EXAMPLES} examples, {options.interruptions} interruptions: "
                  f"{len(found)} faults in the order", flush=True)
    return int(lost > 0)


if __name__ == "__main__":
    raise SystemExit(main())
