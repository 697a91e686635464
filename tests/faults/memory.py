"""Memory that a long process keeps: many evaluations of one trainer, and many trainers, beside plain TensorFlow.

  python -m tests.faults.memory                     30 of each, each in a process of its own: about five minutes
  python -m tests.faults.memory --part trainers --plan graph --count 30

Prints the resident memory after the fifth and after the last, and what each one in between has added. "plain" is a
Keras model, an optimizer and a loop in a tf.function of nothing but TensorFlow, made anew as often: what it leaves is
TensorFlow's own, which under XLA never lets go of what it has compiled. Exit code 1 if anything grows by more than 5 %
after the fifth, unless plain TensorFlow does, too, and at least half as much as it: there are more functions to
compile in a trainer.
"""

import argparse
import ctypes
import gc
import json
import subprocess
import sys
from pathlib import Path

WARM, MOST = 5, 0.05  # not counted; growth after them
ROOT = Path(__file__).parent.parent.parent
PARTS = ("plain", "evaluations", "trainers")


def resident():
    """Resident memory of this process, MiB, without what is free and not yet given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


def evaluations(plan, count):
    """MiB after each evaluation of one trainer, on a fresh source each."""
    from tests import toys

    trainer = _trainer(plan)
    for _ in range(count):
        trainer.evaluate(toys.points(8))
        yield resident()


def trainers(plan, count):
    """MiB after each trainer, which is made, trained, and dropped."""
    for _ in range(count):
        trainer = _trainer(plan)
        trainer.train(cycles=4)
        del trainer
        yield resident()


def plain(plan, count):
    """MiB after each model and compiled loop of plain TensorFlow, made, run, and dropped."""
    for _ in range(count):
        _plain(plan)
        yield resident()


def _trainer(plan):
    from engine import Trainer
    from tests import toys

    return Trainer(toys.Fit(), {"net": toys.net(16, 1)}, toys.adam(), toys.points(8), plan=plan, cycles_per_call=4,
                   say=lambda line: None)


def _plain(plan):
    import keras
    import tensorflow as tf

    from tests import toys

    net, optimizer = toys.net(16, 1), keras.optimizers.Adam()
    net.build((8, 6))
    optimizer.build(net.trainable_variables)
    data = tf.constant(toys.POINTS)

    def update(number):
        batch = data[8 * number:8 * number + 8]
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(net(batch, training=True)[:, 0] - tf.reduce_sum(batch, axis=1)))
        optimizer.apply(tape.gradient(loss, net.trainable_variables), net.trainable_variables)
        return loss

    step = tf.function(update, jit_compile=plan == "xla")

    @tf.function
    def loop(cycles):
        for number in tf.range(cycles):
            step(number)

    loop(tf.constant(4))


def told(part, plan, count):
    """(MiB after the fifth, MiB after the last) of one part in a process of its own."""
    command = [sys.executable, "-m", "tests.faults.memory", "--one", "--part", part, "--plan", plan, "--count",
               str(count)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=1200)
    if done.returncode:
        raise RuntimeError(done.stderr)
    after = json.loads(done.stdout.splitlines()[-1])
    return after[WARM - 1], after[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, nargs="+", default=list(PARTS))
    parser.add_argument("--plan", choices=("graph", "xla"), nargs="+", default=["graph", "xla"])
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--one", action="store_true", help="in this process; the numbers alone")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(list(globals()[options.part[0]](options.plan[0], options.count))))
        return 0
    bad = False
    for plan in options.plan:
        each = {}
        for part in options.part:
            fifth, last = told(part, plan, options.count)
            each[part], ratio = (last - fifth) / (options.count - WARM), last / fifth
            print(f"{plan:6} {part:12} {fifth:6.0f} MiB after {WARM}, {last:6.0f} after {options.count}: x {ratio:.3f}"
                  f", {each[part]:.2f} MiB each", flush=True)
            floor = 2 * each.get("plain", 0.0) if plan == "xla" else 0.0
            bad |= part != "plain" and ratio > 1 + MOST and each[part] > floor
        if plan == "xla" and "plain" in each:
            print("xla    plain TensorFlow, without a line of the engine, keeps what XLA has compiled: the floor of "
                  "the others")
    return int(bad)


if __name__ == "__main__":
    raise SystemExit(main())
