"""Batches of several lengths: every plan computes each at the length of its bucket, as plain TensorFlow does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import BucketedSource, Invalid, LossStrategy, Phase, Ratio, Trainer, Update
from engine.cycle import block
from engine.data.source import BUCKET
from engine.noise import Request, key
from tests import toys

BUCKETS, RATE, SIZE = (3, 6, 10), 0.1, 60
RNG = np.random.default_rng(0)
LENGTHS = RNG.integers(1, 11, SIZE)
ROWS = [RNG.normal(size=[length, 2]).astype("float32") for length in LENGTHS]
INDEX = np.arange(SIZE, dtype="int32")
PLANS = ["eager", "graph", "halves", "xla"]
SEEN = []


@pytest.fixture(autouse=True)
def _unseen():
    SEEN.clear()


def rows(batch_size=4, **options):
    return BucketedSource({"x": ROWS, "index": INDEX}, batch_size, BUCKETS, **options)


def net(rate=0.0):
    """Of each step by itself."""
    made = keras.Sequential([keras.layers.Dense(5, "tanh"), keras.layers.Dropout(rate), keras.layers.Dense(1)])
    made.build([None, None, 2])
    return made


class Steps(LossStrategy):
    """Each step's sum of x, seen through noise: a masked mean over steps; and one number per example."""

    def __init__(self, **options):
        self.options = {"separable": True, **options}

    @property
    def seen(self):
        """Lengths at which it was called; no attribute, which would be a change of the strategy."""
        return SEEN

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"], **self.options)]

    def loss(self, nets, batch, noise):
        assert set(batch) == {"x", "index", "length"}
        x, steps = batch["x"], batch["x"].shape[1]
        self.seen.append(steps)
        there = tf.cast(tf.range(steps) < batch["length"][:, None], tf.float32)
        y = nets["net"](x + 0.1 * noise.normal("blur", [steps, 2]), training=True)[:, :, 0]
        error = tf.square(y - tf.reduce_sum(x, axis=2))
        return {"error": Ratio(there * error, there), "size": 0.01 * tf.reduce_sum(there * tf.square(y), axis=1)}

    def metrics(self, nets, batch, noise):
        self.seen.append(batch["x"].shape[1])
        y = nets["net"](batch["x"] + 0.1 * noise.normal("blur", batch["x"].shape[1:]))[:, :, 0]
        there = tf.cast(tf.range(batch["x"].shape[1]) < batch["length"][:, None], tf.float32)
        return {"index": batch["index"], "length": batch["length"], "padded": batch["length"] * 0 + batch["x"].shape[1],
                "sum": tf.reduce_sum(there * tf.reduce_sum(batch["x"], axis=2), axis=1), "y": y[:, 0]}


def made(plan="graph", batch_size=4, accumulate=1, strategy=None, **options):
    keras.utils.set_random_seed(0)
    nets = {"net": options.pop("net", None) or net()}
    strategy = strategy or Steps()
    engine = toys.engine(strategy, nets, {"fit": Update(keras.optimizers.SGD(RATE), accumulate=accumulate)},
                         rows(batch_size), plan=plan, **options)
    return engine, nets, strategy


def stored(batch_size, number):
    """(x cut to its bucket, lengths, steps) of batch ``number``."""
    raw = rows(batch_size).batch(tf.constant(number, tf.int64), ())
    steps = BUCKETS[int(raw[BUCKET][0])]
    return raw["x"][:, :steps], raw["length"], steps


def by_hand(weights, updates, batch_size=4, accumulate=1):
    """Plain TensorFlow on the cut batches. Weights, the sums of the ratio, and the lengths of all batches."""
    weights, total, over, seen = [tf.Variable(each) for each in weights], 0.0, 0.0, []
    for update in range(updates):
        drawn = Request("normal", (BUCKETS[-1], 2)).draw(key(0, "fit", update, "blur"), batch_size * accumulate)
        batches = [stored(batch_size, accumulate * update + i) for i in range(accumulate)]
        with tf.GradientTape() as tape:
            values, counts, sizes = [], [], []
            for i, (x, length, steps) in enumerate(batches):
                blur = drawn[batch_size * i:batch_size * (i + 1), :steps]
                y = (tf.tanh((x + 0.1 * blur) @ weights[0] + weights[1]) @ weights[2] + weights[3])[:, :, 0]
                there = tf.sequence_mask(length, steps, tf.float32)
                values.append(tf.reduce_sum(there * tf.square(y - tf.reduce_sum(x, axis=2))))
                counts.append(tf.reduce_sum(there))
                sizes.append(0.01 * tf.reduce_mean(tf.reduce_sum(there * tf.square(y), axis=1)))
            loss = tf.add_n(values) / tf.add_n(counts) + tf.add_n(sizes) / accumulate
        for variable, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
            variable.assign_sub(RATE * gradient)
        total, over = total + float(tf.add_n(values)), over + float(tf.add_n(counts))
        seen += [steps for _, _, steps in batches]
    return [variable.numpy() for variable in weights], (total, over), seen


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


def test_two_replicas_are_one(two_replicas):
    with two_replicas.scope():
        two, nets, _ = made()
    expected, sums, _ = by_hand(nets["net"].get_weights(), 8)
    assert [float(each) for each in two.run(8).totals["fit"]["error"]] == pytest.approx(sums, rel=1e-4)
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
    # By halves twice, and twice more for the sums of the ratio; under XLA all of it again for an update by itself.
    assert {bucket: strategy.seen.count(bucket) for bucket in BUCKETS} == dict.fromkeys(BUCKETS, times)


def products(graph):
    """Multiply-adds of the products of every branch of every case of a graph."""
    from engine.cycle.keras_internals import called_by, every_operation

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


class Other(Steps):
    """A loss that is another at the longest."""

    def __init__(self, other, **options):
        super().__init__(**options)
        self.other = other

    def loss(self, nets, batch, noise):
        return self.other(nets, batch, noise, batch["x"].shape[1])


def each(nets, batch):
    return tf.reduce_mean(tf.square(nets["net"](batch["x"])[:, :, 0]), axis=1)


@pytest.mark.parametrize("other, options, text", [
    (lambda nets, batch, noise, steps: {f"error{steps}": each(nets, batch)}, {},
     r"`terms of phase fit for x\[4, 3, 2\]` \({'error3': 'examples'}\) must be as in the longest bucket, {'error10'"),
    (lambda nets, batch, noise, steps: {"error": each(nets, batch) if steps > 6 else tf.reduce_mean(each(nets, batch))},
     {}, r"`terms of phase fit for x\[4, 3, 2\]` \({'error': 'the batch'}\) must be as in the longest bucket"),
    (lambda nets, batch, noise, steps: {"error": each(nets, batch), "x": batch["x"]},
     {"passes": ["x"], "after": lambda nets, state, seen: {}},
     r"`x of phase fit for x\[4, 3, 2\]` \(float32\[4, 3, 2\]\) must be of one form in all buckets, float32\[4, 10"),
    (lambda nets, batch, noise, steps: {"error": each(nets, batch) + noise.normal("z", [13 - steps, steps])[:, 0, 0]},
     {}, r"`noise z of phase fit` \(normal\[7, 6\] in one bucket\) must be of one kind in all, and the larger of two"),
    (lambda nets, batch, noise, steps: {"error": each(nets, batch)
                                        + tf.reduce_sum(noise.normal("z", [1] * (steps % 2)))},
     {}, r"`noise z of phase fit` \(normal\[1\] in one bucket\) must be of one kind in all"),
    (lambda nets, batch, noise, steps: {"error": each(nets, batch)
                                        + (noise.normal if steps > 3 else noise.uniform)("z")},
     {}, r"`noise z of phase fit` \(uniform\[\] in one bucket\) must be of one kind in all"),
    (lambda nets, batch, noise, steps: {"error": each(nets, batch) + tf.reshape(batch["x"], [4, 20])[:, 0]}, {},
     r"`phase fit for x\[4, 3, 2\]` \(.*\) must run, as in the longest bucket"),
])
def test_what_differs_between_buckets_is_refused_by_name(other, options, text):
    with pytest.raises(Invalid, match=text):
        made(strategy=Other(other, **options))


def test_a_net_of_one_length_is_refused_in_one_line():
    flat = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(1)])

    class Flat(Steps):
        def loss(self, nets, batch, noise):
            return {"y": nets["net"](batch["x"])[:, 0]}

    with pytest.raises(Invalid, match=r"`phase fit for x\[4, 3, 2\]` \(.*\) must run, as in the longest") as error:
        made(strategy=Flat(), net=flat)
    assert "\n" not in str(error.value)


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


def trainer(plan="graph", **options):
    keras.utils.set_random_seed(0)
    return Trainer(Steps(), {"net": net()}, Update(toys.adam(), accumulate=2), rows(), plan=plan,
                   say=lambda line: None, **options)


@pytest.mark.parametrize("plan", ["eager", "graph", "xla"])
def test_evaluation_counts_every_example_once_at_its_own_length(plan):
    one = trainer(plan)
    one.strategy.seen.clear()
    held_out = rows(5, seed=9)
    found = one.examples(one.strategy.metrics, held_out)
    np.testing.assert_array_equal(found["index"], INDEX)
    np.testing.assert_array_equal(found["length"], LENGTHS)
    np.testing.assert_array_equal(found["padded"], [min(each for each in BUCKETS if each >= n) for n in LENGTHS])
    np.testing.assert_allclose(found["sum"], [row.sum() for row in ROWS], rtol=1e-4, atol=1e-5)
    means = one.evaluate(held_out)
    for name, values in found.items():
        assert means[name] == pytest.approx(values.astype(np.float64).mean(), rel=1e-5)
    assert set(one.strategy.seen) == set(BUCKETS)


def test_metrics_of_another_form_are_refused_by_name():
    one = trainer()
    with pytest.raises(Invalid, match=r"`steps of evaluation for x\[4, 3, 2\]` \(float32\[4, 3\]\) must be of one"):
        one.examples(lambda nets, batch, noise: {"steps": batch["x"][:, :, 0]}, rows())


def test_pictures_show_the_first_examples_as_stored():
    class Shown(Steps):
        def pictures(self, nets, batch, noise):
            return {"index": batch["index"], "x": batch["x"]}

    keras.utils.set_random_seed(0)
    one = Trainer(Shown(), {"net": net()}, toys.adam(), rows(), plan="graph")
    found = one.pictures(7)
    np.testing.assert_array_equal(found["index"], INDEX[:7])
    for row, x in zip(ROWS, found["x"], strict=False):
        np.testing.assert_array_equal(x, np.pad(row, [(0, 10 - len(row)), (0, 0)]))


@pytest.mark.parametrize("plan", ["eager", "graph", "xla"])
def test_check_tries_a_bucketed_run(plan):
    one = trainer(plan)
    found = one.check(cycles=4)
    assert found.faults == [] and not any("bucket" in line for line in found.lines if line.startswith("    /"))
    report = [" ".join(line.split()) for line in found.lines]
    assert any(line.startswith("length int32") for line in report)
    assert any(line.startswith("x float32") for line in report)
    assert one.engine.place.slot == 0


def test_the_trial_chooses_among_plans_and_puts_the_state_back():
    from engine.run.trial import Trial

    one = trainer()
    before = toys.bits(one.engine, one.nets)
    clock = iter(np.arange(0.0, 1e6, 0.5))
    choice = Trial(one.engine, 10**6, lambda: float(next(clock))).choose()
    assert choice.plan in ("graph", "halves", "xla") and len(choice.speeds) + len(choice.left_out) >= 2
    np.testing.assert_array_equal(toys.bits(one.engine, one.nets), before)
    one.train(cycles=3)


def test_auto_trains():
    one = trainer("auto")
    one.train(cycles=4)
    assert one.counters.updates == {"fit": 4} and one.counters.batches == 8


def test_memory_of_an_update_counts_the_longest():
    engine, _, _ = made()
    stored_bytes = 4 * (10 * 2 * 4 + 4 + 4 + 4)  # x, index, length, bucket
    assert engine.steps["fit"].inputs.bytes_per_update == stored_bytes + 4 * 4 * 10 * 2
