"""Ten repeats with one seed: the same bits; and what determinism and the health watch cost.

  python -m tests.faults.repeats            ten repeats of four workloads, graph and xla: about ten minutes
  python -m tests.faults.repeats --nets     five repeats of every net, by three plans, on 1 and 2 threads: an hour
  python -m tests.faults.repeats --cost     cycles per second with and without, side by side: about ten minutes

The cost is of real sizes: a dense VAE (784-128-20, batch 128) under xla, a small convolutional classifier and an LSTM
(length 100) under graph, a WGAN-GP of 28 pixels. Pairs of fresh processes, one after the other; medians of the ratios.
"""

import argparse
import hashlib
import itertools
import statistics
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import nets
from engine import ArraySource, LossStrategy, Phase, StepEngine, Trainer, Update, prepare
from engine.cycle.step import Step
from engine.data.augment import scale
from losses.strategies import VAE, WGANGP, Binary, Supervised
from tests.faults import workloads
from tests.nets.test_conformance import CASES


def once(name, plan, folder, out):
    """One whole run; its hashes."""
    trainer = workloads.make(name, plan, folder)
    workloads.train(trainer)
    Path(out).write_text(f"{workloads.state_hash(trainer)} {workloads.table_hash(folder)}")


def repeats(name, plan, times):
    """The different results of ``times`` runs, each in a process of its own."""
    found = set()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(times):
            out = Path(folder) / "out"
            assert workloads.wait(workloads.fork(once, name, plan, Path(folder) / str(number), out)) == 0
            found.add(out.read_text())
    return found


class Apart(LossStrategy):
    """For any net: how far its outputs are from a draw."""

    def phases(self):
        """One."""
        return [Phase("net", self.loss, updates=["net"])]

    def loss(self, nets, batch, noise):
        """{apart: [B]}."""
        outputs = tf.cast(nets["net"](batch["x"], training=True), tf.float32)
        flat = tf.reshape(outputs, [len(batch["x"]), -1])
        return {"apart": tf.reduce_mean((flat - noise.normal("target", [flat.shape[1]])) ** 2, axis=1)}


def traced_anew(case, plan, times, cycles=2, size=32):
    """The different results of ``times`` engines of one net of ``test_conformance``, each compiled by itself."""
    found, count, rng = set(), 4 * size, np.random.default_rng(0)
    inputs = case.batch(count).numpy()
    if len(case.outputs) == 1:
        strategy, name = Supervised(), "classifier"
        data = {"image": inputs, "label": rng.integers(0, case.outputs[0], count).astype(np.int32)}
    else:
        strategy, name, data = Apart(), "net", {"x": inputs}
    for _ in range(times):
        prepare(7)
        net = case.build()
        engine = StepEngine(strategy.phases(), {name: net}, {name: Update(keras.optimizers.SGD(0.1))},
                            ArraySource(data, size, seed=1), plan=plan)
        engine.run(cycles)
        found.add(hashlib.sha256(b"".join(v.numpy().tobytes() for v in net.variables)).hexdigest())
    return found


def net_in_process(index, plan, threads, times, out):
    """``traced_anew`` on so many threads, in a process of its own."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    Path(out).write_text(str(len(traced_anew(CASES[index], plan, times))))


def every_net(times, names):
    """Prints a line for each; whether all had one result."""
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        for (index, case), plan, threads in itertools.product(enumerate(CASES), ("graph", "halves", "xla"), (1, 2)):
            if case.light or (names and case.net not in names):
                continue
            out = Path(folder) / "out"
            out.unlink(missing_ok=True)
            ended = workloads.wait(workloads.fork(net_in_process, index, plan, threads, times, out))
            results = out.read_text() if ended == 0 else "no"
            bad += results != "1"
            print(f"{case!s:60.60} {plan:7}{threads} thread(s)  {times} repeats, {results} result(s)", flush=True)
    return bad


def _images(count=4096):
    return np.random.default_rng(0).integers(0, 256, (count, 28, 28, 1)).astype(np.uint8)


def _labels(classes, count=4096):
    return np.random.default_rng(1).integers(0, classes, count).astype(np.int32)


def _adam():
    return keras.optimizers.Adam(1e-3)


def _vae():
    return VAE(), {"vae": nets.create("dense-vae", latent_dim=20)}, _adam(), ArraySource(
        {"image": _images()}, 128, transform=scale)


def _classifier():
    return Supervised(), {"classifier": nets.create("convnet")}, Update(_adam(), average=0.998), ArraySource(
        {"image": _images(), "label": _labels(10)}, 128, transform=scale)


def _lstm():
    tokens = np.random.default_rng(0).integers(1, 5000, (4096, 100)).astype(np.int32)
    return Binary(), {"classifier": nets.create("lstm", vocabulary=5000)}, Update(_adam(), clip_norm=1.0), ArraySource(
        {"tokens": tokens, "label": _labels(2)}, 64)


def _wgan_gp():
    return WGANGP(), {"generator": nets.create("generator28"), "critic": nets.create("critic28")}, {
        "critic": _adam(), "generator": _adam()}, ArraySource({"image": _images()}, 64, transform=scale)


COSTS = {"vae": (_vae, "xla"), "convnet": (_classifier, "graph"), "lstm": (_lstm, "graph"),
         "wgan-gp-28": (_wgan_gp, "graph")}
SECONDS = 6.0


def speed(name, deterministic, watched, out):
    """Cycles per second, once it is warm."""
    if not watched:
        Step._good = lambda step, found: tf.constant(True)
    prepare(0, deterministically=deterministic)
    make, plan = COSTS[name]
    strategy, made, updates, data = make()
    trainer = Trainer(strategy, made, updates, data, plan=plan, deterministic=deterministic, say=lambda line: None)
    trainer.train(cycles=20)
    per_second = 20 / trainer.seconds
    for seconds in (1.0, SECONDS):
        before, began = trainer.counters.cycles, time.perf_counter()
        trainer.train(cycles=before + max(10, int(seconds * per_second)))
        per_second = (trainer.counters.cycles - before) / (time.perf_counter() - began)
    Path(out).write_text(str(per_second))


def cost(name, pairs):
    """Median and range, in percent, of what determinism and the watch together take of the speed."""
    lost = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(pairs):
            found = []
            for both in (True, False):
                out = Path(folder) / "out"
                assert workloads.wait(workloads.fork(speed, name, both, both, out)) == 0
                found.append(float(out.read_text()))
            lost.append(100 * (1 - found[0] / found[1]))
    return statistics.median(lost), min(lost), max(lost)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--nets", action="store_true")
    parser.add_argument("--net", nargs="+", default=[], help="of --nets (default: all)")
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--workload", nargs="+", choices=tuple(COSTS), default=list(COSTS), help="of --cost")
    chosen = parser.parse_args()
    if chosen.cost:
        for name in chosen.workload:
            median, low, high = cost(name, 5)
            print(f"{name:12}determinism and health watch cost {median:.1f} % ({low:.1f} to {high:.1f})", flush=True)
        return 0
    if chosen.nets:
        return int(every_net(min(chosen.times, 5), chosen.net) > 0)
    bad = 0
    for name in workloads.NAMES:
        for plan in ("graph", "xla"):
            found = repeats(name, plan, chosen.times)
            bad += len(found) > 1
            print(f"{name:12}{plan:7}{chosen.times} repeats, {len(found)} result(s)", flush=True)
    return int(bad > 0)


if __name__ == "__main__":
    raise SystemExit(main())
