"""Batches of several lengths: every plan computes each at the length of its bucket, as plain TensorFlow does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import LossStrategy, Phase
from engine.cycle import block
from engine.cycle.keras_internals import called_by, every_operation
from engine.noise import Request, key
from tests import pairs, toys
from tests.bucketed import BUCKETS, RATE, SEEN, SIZE, Steps, by_hand, made, net, rows, stored

PLANS = ["eager", "graph", "halves", "xla"]


@pytest.fixture(autouse=True)
def _unseen():
    SEEN.clear()


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("plan", PLANS)
def test_every_plan_is_plain_tensorflow_on_the_cut_batches(plan, accumulate):
    engine, nets, _ = made(plan, accumulate=accumulate)
    expected, sums, seen = by_hand(nets["net"].get_weights(), 12, accumulate=accumulate)
    assert len(set(seen)) == 3
    if accumulate == 2:  # an update whose two micro-batches are of two buckets
        assert any(first != second for first, second in zip(seen[::2], seen[1::2], strict=True))
    found = engine.run(5).totals["fit"]["error"], engine.run(7).totals["fit"]["error"]
    assert [sum(map(float, each)) for each in zip(*found, strict=True)] == pytest.approx(sums, rel=1e-5)
    for ours, theirs in zip(nets["net"].get_weights(), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_two_workers_are_one():
    _, alone, _ = made()
    expected, sums, _ = by_hand(alone["net"].get_weights(), 8)
    for _, nets, report in pairs.trained(lambda workers: made(workers=workers)[:2], 8):
        assert [float(each) for each in report.totals["fit"]["error"]] == pytest.approx(sums, rel=1e-4)
        for ours, theirs in zip(nets["net"].get_weights(), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_eager_computes_each_batch_at_its_own_length():
    engine, _, strategy = made("eager")
    strategy.seen.clear()
    engine.run(12)
    assert strategy.seen == [stored(4, number)[2] for number in range(12)]


@pytest.mark.parametrize("plan, times", [("graph", 1), ("halves", 4), ("xla", 8)])
def test_the_loss_is_traced_once_per_bucket_and_compiled_once(monkeypatch, plan, times):
    monkeypatch.setattr(block, "BLOCK_UPDATES", 1)
    strategy = Steps(watch=["size"])
    engine, _, _ = made(plan, strategy=strategy)
    assert sorted(strategy.seen) == sorted(BUCKETS)  # before compiling
    strategy.seen.clear()
    for cycles in (1, 4, 2):
        engine.run(cycles)
    assert engine.plan.traces == 1
    # By shards twice, and twice more for the sums of the ratio; under XLA all of it again for an update by itself.
    assert {bucket: strategy.seen.count(bucket) for bucket in BUCKETS} == dict.fromkeys(BUCKETS, times)


def products(graph):
    """Multiply-adds of the products of every branch of every case of a graph."""
    found = []
    for operation in every_operation(graph):
        if operation.type in ("Case", "StatelessCase"):
            found.append([sum(int(np.prod(each.outputs[0].shape)) * int(each.inputs[0].shape[-1])
                              for each in every_operation(branch) if each.type in ("MatMul", "BatchMatMulV2"))
                          for _, branch in called_by(operation)])
    return found


def test_a_short_batch_computes_less():
    engine, _, _ = made("graph")
    engine.run(1)
    for branches in products(engine.plan.graph):
        short, middle, long = branches
        assert 0 < short < middle < long and long / short > 2.5, branches
    assert products(engine.plan.graph)


def test_dropout_goes_on_from_update_to_update_in_all_buckets():
    ends = []
    for plan, calls in (("eager", [6]), ("graph", [6]), ("graph", [2, 1, 3])):
        engine, nets, _ = made(plan, net=net(0.5))
        for cycles in calls:
            engine.run(cycles)
        ends.append(np.concatenate([each.ravel() for each in nets["net"].get_weights()]))
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(ends[1], ends[2])
    engine, nets, _ = made("graph", net=net(0.0))
    engine.run(6)
    assert np.abs(nets["net"].get_weights()[0].ravel() - ends[1][:10]).max() > 1e-3


@pytest.mark.parametrize("plan", ["graph", "xla"])
def test_the_largest_draw_may_be_that_of_a_shorter_bucket(plan):
    class Backwards(Steps):
        def loss(self, nets, batch, noise):
            z = noise.normal("z", [13 - batch["x"].shape[1]])
            return {"error": nets["net"](batch["x"])[:, 0, 0], "z": tf.reduce_sum(z, axis=1)}

    engine, _, _ = made(plan, strategy=Backwards(watch=["z"]))
    found, expected = float(engine.run(6).totals["fit"]["z"][0]), 0.0
    for update in range(6):
        drawn = Request("normal", (10,)).draw(key(0, "fit", update, "z"), 4)
        expected += float(tf.reduce_sum(drawn[:, :13 - stored(4, update)[2]]))
    assert found == pytest.approx(expected, rel=1e-4)


def test_statistics_and_state_move_in_every_bucket():
    class Passing(Steps):
        def state(self):
            return {"seen": np.zeros(SIZE, "int32")}

        def loss(self, nets, batch, noise):
            return {**super().loss(nets, batch, noise), "index": batch["index"]}

        def after(self, nets, state, seen):
            one = tf.ones_like(seen["index"])
            return {"seen": tf.tensor_scatter_nd_add(state["seen"], seen["index"][:, None], one)}

    strategy = Passing(passes=["index"])
    strategy.options["after"] = strategy.after
    norm = keras.Sequential([keras.layers.Dense(4), keras.layers.BatchNormalization(), keras.layers.Dense(1)])
    engine, nets, _ = made(strategy=strategy, net=norm)
    epoch = engine.source.batches_per_epoch
    engine.run(epoch)
    assert int(engine.state["seen"].numpy().sum()) == 4 * epoch and engine.state["seen"].numpy().max() == 1
    mean, variance = np.zeros(4), np.ones(4)
    assert np.abs(nets["net"].layers[1].moving_mean.numpy() - mean).max() > 1e-3
    assert np.abs(nets["net"].layers[1].moving_variance.numpy() - variance).max() > 1e-3


class Two(LossStrategy):
    """Reads two sources of several lengths, and one of points."""

    def __init__(self):
        self.seen = set()

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"], reads=["a", "b", "points"])]

    def loss(self, nets, batch, noise):
        self.seen.add((batch["a"]["x"].shape[1], batch["b"]["x"].shape[1]))
        drawn = noise.normal("z", [batch["b"]["x"].shape[1]], of="b")
        return {"a": tf.reduce_mean(tf.square(nets["net"](batch["a"]["x"])[:, :, 0] - 1.0), axis=1),
                "b": tf.reduce_mean(tf.square(nets["net"](batch["b"]["x"])[:, :, 0] - drawn), axis=1),
                "points": batch["points"]["x"][:, 0]}


def test_two_sources_of_several_lengths():
    ends = []
    for plan in ("eager", "graph"):
        keras.utils.set_random_seed(0)
        strategy, nets = Two(), {"net": net()}
        engine = toys.engine(strategy, nets, {"fit": toys.adam()}, {"a": rows(4), "b": rows(2, seed=3), "points":
                                                                    toys.points(4)}, plan=plan)
        assert strategy.seen == {(a, b) for a in BUCKETS for b in BUCKETS}
        engine.run(12)
        ends.append(toys.bits(engine, nets))
    np.testing.assert_allclose(*ends, rtol=1e-4, atol=1e-5)


def test_a_variable_without_gradient_in_one_bucket_is_trained_by_the_others():
    class Parts(Steps):
        def loss(self, nets, batch, noise):
            y = nets["net"](batch["x"])[:, 0, 0]
            return {"error": tf.square(y + (nets["other"](batch["x"])[:, 0, 0] if batch["x"].shape[1] > 3 else 0.0))}

    strategy = Parts()
    strategy.phases = lambda: [Phase("fit", strategy.loss, updates=["net", "other"])]
    keras.utils.set_random_seed(0)
    nets = {"net": net(), "other": net()}
    engine = toys.engine(strategy, nets, {"fit": keras.optimizers.SGD(RATE)}, rows(), plan="graph")
    assert len(engine.parts["fit"].compute.variables) == 8
    for number in range(8):
        before = nets["other"].get_weights()[0]
        engine.run(1)
        assert (stored(4, number)[2] > 3) == bool((nets["other"].get_weights()[0] != before).any())


def test_memory_of_an_update_counts_the_longest():
    engine, _, _ = made()
    stored_bytes = 4 * (10 * 2 * 4 + 4 + 4 + 4)  # x, index, length, bucket
    assert engine.steps["fit"].inputs.bytes_per_update == stored_bytes + 4 * 4 * 10 * 2
