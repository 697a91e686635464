"""The cycle's arithmetic: totals, weights, batches, draws and counters, against NumPy and by exact numbers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import DatasetSource, LossStrategy, Phase
from tests import toys

RATE = 0.05


class Line(LossStrategy):
    """Least squares of x·w to the sum of x, and a scalar term; ``options`` go to the phase."""

    def __init__(self, **options):
        self.options = options

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"], **self.options)]

    def loss(self, nets, batch, noise):
        error = nets["net"](batch["x"])[:, 0] - tf.reduce_sum(batch["x"], axis=1)
        return {"squared_error": tf.square(error), "spread": tf.math.reduce_std(batch["x"])}


def line_net(**options):
    """x·w, from w = 0."""
    return {"net": keras.Sequential([keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", **options)])}


def line(strategy, source=None, plan="graph", **options):
    """An engine for ``Line`` with plain gradient descent, and its net."""
    nets = line_net(**options)
    made = toys.engine(strategy, nets, {"fit": keras.optimizers.SGD(RATE)}, source or toys.points(), plan=plan)
    return made, nets


def stored(source):
    """k -> the points of batch k in float64."""
    return lambda number: source.batch(tf.constant(number, tf.int64), ())["x"].numpy().astype("float64")


def by_hand(batch, updates, decay=0.0, activity=0.0):
    """``Line`` in NumPy: the weights after ``updates`` updates, and the sum of each term over all of them."""
    w, rows = np.zeros([6]), []
    for update in range(updates):
        x = batch(update)
        y = x @ w
        error = y - x.sum(axis=1)
        gradient = 2 * x.T @ (error + activity * y) / len(x) + 2 * decay * w
        rows.append({"squared_error": error @ error, "spread": x.std(), "gradient_norm": np.linalg.norm(gradient),
                     "regularization": decay * w @ w + activity * y @ y / len(x)})
        w = w - RATE * gradient
    return w, {name: sum(row[name] for row in rows) for name in rows[0]}


def weights(nets):
    return nets["net"].variables[0].numpy()[:, 0]


def test_totals_are_over_all_updates_of_a_call():
    made, nets = line(Line(repeats=3, weights={"spread": 0.25}))
    whole = made.run(4).totals["fit"]
    w, sums = by_hand(stored(made.source), 12)  # also: twelve fresh batches, 0 to 11, in this order
    np.testing.assert_allclose(weights(nets), w, rtol=1e-5)
    assert whole["squared_error"] == (pytest.approx(sums["squared_error"], rel=1e-5), 12 * 8)
    assert whole["spread"] == (pytest.approx(sums["spread"], rel=1e-5), 12)  # a scalar: once per update
    assert whole["gradient_norm"] == (pytest.approx(sums["gradient_norm"], rel=1e-5), 12)
    objective = sums["squared_error"] / 8 + 0.25 * sums["spread"]
    assert whole["objective"] == (pytest.approx(objective, rel=1e-5), 12)
    again, _ = line(Line(repeats=3, weights={"spread": 0.25}))
    parts = [again.run(cycles).totals["fit"] for cycles in (1, 2, 1)]
    assert [part["spread"][1] for part in parts] == [3, 6, 3]
    for name, (total, count) in whole.items():
        assert sum(part[name][1] for part in parts) == count
        assert sum(part[name][0] for part in parts) == pytest.approx(total, rel=1e-12)


def test_a_dataset_gives_the_training_batches_in_its_order_in_a_graph():
    dataset = tf.data.Dataset.from_tensor_slices({"x": toys.POINTS})
    made, nets = line(Line(watch=["spread"]), DatasetSource(dataset, 32))  # 6 batches per epoch
    for cycles in (1, 7, 2):
        made.run(cycles)
    w, _ = by_hand(lambda number: toys.POINTS[32 * (number % 6):32 * (number % 6 + 1)].astype("float64"), 10)
    np.testing.assert_allclose(weights(nets), w, rtol=1e-5)
    assert made.plan.traces == 1


@pytest.mark.parametrize("options, factors", [
    ({"kernel_regularizer": keras.regularizers.L2(0.5)}, {"decay": 0.5}),
    ({"activity_regularizer": keras.regularizers.L2(0.5)}, {"activity": 0.5}),
])
def test_keras_regularizers_are_added_as_a_term_of_their_own(options, factors):
    made, nets = line(Line(watch=["spread"]), **options)
    totals = made.run(5).totals["fit"]
    w, sums = by_hand(stored(made.source), 5, **factors)
    np.testing.assert_allclose(weights(nets), w, rtol=1e-5)
    assert totals["regularization"] == (pytest.approx(sums["regularization"], rel=1e-5), 5)
    objective = sums["squared_error"] / 8 + sums["regularization"]
    assert totals["objective"] == (pytest.approx(objective, rel=1e-5), 5)


def test_watched_terms_are_logged_and_change_no_bit():
    class Alone(Line):
        def loss(self, nets, batch, noise):
            return {"squared_error": super().loss(nets, batch, noise)["squared_error"]}

    class Watched(Line):
        def loss(self, nets, batch, noise):
            terms = super().loss(nets, batch, noise)
            return {**terms, "size": 100.0 * tf.reduce_sum(nets["net"](batch["x"]), axis=1)}

    watched, nets = line(Watched(watch=["spread", "size"]))
    alone, others = line(Alone())
    first, second = watched.run(6).totals["fit"], alone.run(6).totals["fit"]
    np.testing.assert_array_equal(toys.bits(watched, nets), toys.bits(alone, others))
    assert first["objective"] == second["objective"] and first["gradient_norm"] == second["gradient_norm"]
    assert first["size"][0] != 0.0 and first["size"][1] == 48


class Two(LossStrategy):
    """Two phases that move one net: towards the sum of x, and three times towards zero by a scheduled weight."""

    def phases(self):
        ramp = keras.optimizers.schedules.PolynomialDecay(0.0, decay_steps=8, end_learning_rate=2.0)
        return [Phase("up", self.up, updates=["net"]),
                Phase("down", self.down, updates=["net"], repeats=3, weights={"size": ramp, "one": 10})]

    def up(self, nets, batch, noise):
        return {"squared_error": tf.square(nets["net"](batch["x"])[:, 0] - tf.reduce_sum(batch["x"], axis=1))}

    def down(self, nets, batch, noise):
        size = tf.square(nets["net"](batch["x"])[:, 0])
        return {"size": size * 0.0 + 1.0 + (size - tf.stop_gradient(size)), "one": tf.ones([])}


def test_phases_share_a_net_and_weights_follow_their_own_update_count():
    nets = line_net()
    made = toys.engine(Two(), nets, {"up": keras.optimizers.SGD(0.1), "down": keras.optimizers.SGD(0.02)},
                       toys.points())
    # "size" is 1 in value: the objective is ramp(n) + 10 with ramp(n) = 2·min(n/8, 1), exactly.
    ramp = [2 * min(n / 8, 1) for n in range(12)]
    for cycle in range(4):
        totals = made.run(1).totals
        assert totals["down"]["objective"] == (sum(ramp[3 * cycle:3 * cycle + 3]) + 30, 3)
        assert totals["down"]["one"] == (3.0, 3)
    assert made.plan.traces == 1
    w, batch = np.zeros([6]), stored(made.source)
    for cycle in range(4):
        x = batch(4 * cycle)
        w = w - 0.1 * 2 * x.T @ (x @ w - x.sum(axis=1)) / 8
        for n in range(3 * cycle, 3 * cycle + 3):
            x = batch(4 * cycle + 1 + n % 3)
            w = w - 0.02 * ramp[n] * 2 * x.T @ (x @ w) / 8
    np.testing.assert_allclose(weights(nets), w, rtol=1e-4)


def test_counters_follow_from_the_position_and_a_call_ends_with_its_cycle():
    made, _ = toys.gan(toys.points(4))
    places = [made.schedule.shifted(made.schedule.start(), slot) for slot in range(8)]
    done = [{"critic": place.completed[0], "generator": place.completed[1], "": place.batches[0]} for place in places]
    assert [d["critic"] for d in done] == [0, 1, 2, 3, 4, 5, 5, 6]
    assert [d["generator"] for d in done] == [0, 0, 0, 0, 0, 0, 1, 1]
    assert [d[""] for d in done] == [0, 1, 2, 3, 4, 5, 5, 6]
    toys.put(made, 8)  # two critic updates into the second cycle
    totals = made.run(1).totals
    assert made.place.slot == 12
    assert (totals["critic"]["penalty"][1], totals["generator"]["wasserstein"][1]) == (3 * 4, 4)
    toys.put(made, 17)  # the generator's update alone
    totals = made.run(1).totals
    assert (made.place.slot, totals["critic"]["penalty"], totals["generator"]["wasserstein"][1]) == (18, (0.0, 0), 4)


def test_accumulation_draws_a_batches_per_update():
    made, _ = toys.gan(toys.points(4), counts=True, accumulate=2)
    totals = made.run(5).totals
    assert toys.done(made) == {"critic": 25, "generator": 5, "": 50}
    np.testing.assert_array_equal(made.state["seen"].numpy(), np.ones(200))
    assert totals["critic"]["penalty"][1] == 25 * 2 * 4
    assert totals["critic"]["objective"][1] == totals["critic"]["gradient_norm"][1] == 25
    assert int(made.parts["critic"].commit.update.optimizer.iterations) == 25


class Dropped(Line):
    """``Line`` on dropped inputs; the watched ``kept`` tells which of 64 ones per example the mask keeps."""

    def loss(self, nets, batch, noise):
        mask = nets["mask"](tf.ones([8, 64]), training=True)
        error = nets["net"](batch["x"] * mask[:, :6])[:, 0] - tf.reduce_sum(batch["x"], axis=1)
        return {"squared_error": tf.square(error), "kept": tf.reduce_sum(mask * tf.range(64.0), axis=1)}


def dropped():
    nets = {**line_net(), "mask": keras.Sequential([keras.layers.Dropout(0.5)])}
    made = toys.engine(Dropped(watch=["kept"]), nets, {"fit": keras.optimizers.SGD(RATE)}, toys.points())
    return made, nets


def test_dropout_is_keyed_by_the_update():
    whole, nets = dropped()
    kept = whole.run(8).totals["fit"]["kept"]
    parts, others = dropped()
    rows = [parts.run(1).totals["fit"]["kept"][0] for _ in range(5)] + [parts.run(3).totals["fit"]["kept"][0]]
    np.testing.assert_array_equal(toys.bits(whole, nets), toys.bits(parts, others))
    assert kept == (sum(rows), 64)
    assert len(set(rows[:5])) == 5  # another mask at each update
    assert np.mean(rows[:5]) / 8 == pytest.approx(63 * 64 / 2, rel=0.1)


class VAEGAN(LossStrategy):
    """An encoder, a decoder that two phases move, and a discriminator (after Larsen et al. 2016)."""

    def phases(self):
        ramp = keras.optimizers.schedules.PolynomialDecay(0.0, decay_steps=10, end_learning_rate=0.1)
        return [Phase("discriminate", self.discriminate, updates=["discriminator"], repeats=2),
                Phase("reconstruct", self.reconstruct, updates=["encoder", "decoder"], weights={"kl": ramp}),
                Phase("deceive", self.deceive, updates=["decoder"], reads=None)]

    def discriminate(self, nets, batch, noise):
        fake = nets["decoder"](noise.normal("z", [2]))
        return {"real": tf.nn.softplus(-nets["discriminator"](batch["x"]))[:, 0],
                "fake": tf.nn.softplus(nets["discriminator"](fake))[:, 0]}

    def reconstruct(self, nets, batch, noise):
        mean, log_var = tf.split(nets["encoder"](batch["x"]), 2, axis=1)
        x = nets["decoder"](mean + tf.exp(0.5 * log_var) * noise.normal("z", [2]))
        return {"squared_error": tf.reduce_sum(tf.square(x - batch["x"]), axis=1),
                "kl": 0.5 * tf.reduce_sum(tf.square(mean) + tf.exp(log_var) - 1.0 - log_var, axis=1)}

    def deceive(self, nets, batch, noise):
        return {"fake": tf.nn.softplus(-nets["discriminator"](nets["decoder"](noise.normal("z", [2]))))[:, 0]}


def test_a_vae_gan_of_three_phases_needs_no_word_of_the_engine():
    nets = {"encoder": toys.net(16, 4), "decoder": toys.net(16, 6), "discriminator": toys.net(16, 1)}
    made = toys.engine(VAEGAN(), nets, {name: toys.adam() for name in ("discriminate", "reconstruct", "deceive")},
                       toys.points(20))

    def values():
        return {name: np.concatenate([v.numpy().ravel() for v in net.variables]) for name, net in nets.items()}

    start, first = values(), made.run(1).totals
    assert first["reconstruct"]["objective"][0] == pytest.approx(first["reconstruct"]["squared_error"][0] / 20)
    before = values()
    assert all((before[name] != start[name]).any() for name in nets)
    toys.put(made, 3)  # of four: what is left of the cycle is the last phase
    made.run(1)
    after = values()
    assert [name for name in nets if (after[name] != before[name]).any()] == ["decoder"]
    later = [made.run(40).totals for _ in range(3)][-1]
    assert later["reconstruct"]["squared_error"][0] / 800 < 0.8 * first["reconstruct"]["squared_error"][0] / 20
    assert toys.done(made) == {"discriminate": 242, "reconstruct": 121, "deceive": 121, "": 363}
    assert {name: int(part.commit.update.optimizer.iterations) for name, part in made.parts.items()} == {
        "discriminate": 242, "reconstruct": 121, "deceive": 122}


def test_the_eager_plan_shows_concrete_values_inside_a_loss(capsys):
    seen = []

    class Shown(Line):
        def loss(self, nets, batch, noise):
            terms = super().loss(nets, batch, noise)
            seen.append(batch["x"])
            print("error", float(tf.reduce_sum(terms["squared_error"])))
            return terms

    made, _ = line(Shown(weights={"spread": 0.25}), plan="eager")
    seen.clear()
    capsys.readouterr()
    totals = made.run(3).totals["fit"]
    assert [type(x).__name__ for x in seen] == ["EagerTensor"] * 3
    for number, x in enumerate(seen):
        np.testing.assert_array_equal(x.numpy(), stored(made.source)(number).astype("float32"))
    printed = [float(row.split()[1]) for row in capsys.readouterr().out.splitlines()]
    assert sum(printed) == pytest.approx(totals["squared_error"][0], rel=1e-6)


def halve(x, steps):
    """A helper of a loss, with a loop on a tensor; XLA takes gradients of loops with a known bound only."""
    step = tf.constant(0)
    while step < steps:
        tf.autograph.experimental.set_loop_options(maximum_iterations=5)
        x = 0.5 * x
        step += 1
    return x


class Branching(Line):
    """Python's ``if`` and ``while`` on tensors: even batches are halved three times, odd ones made negative."""

    def loss(self, nets, batch, noise):
        y = nets["net"](batch["x"])[:, 0]
        halved = halve(y + 1.0, tf.constant(3))
        if batch["index"][0] % 2 == 0:  # noqa: SIM108 (the statement is what is tested)
            y = halved
        else:
            y = -y - 1.0
        return {"y": y}


@pytest.mark.parametrize("plan", ["graph", "xla", "eager"])
def test_a_loss_may_use_pythons_if_and_while_on_tensors(plan):
    nets = line_net()
    made = toys.engine(Branching(), nets, {"fit": keras.optimizers.SGD(0.0)}, toys.points(), plan=plan)
    firsts = [int(made.source.batch(tf.constant(k, tf.int64), ())["index"][0]) for k in range(6)]
    assert {first % 2 for first in firsts} == {0, 1}
    assert [made.run(1).totals["fit"]["y"][0] for _ in firsts] == [-8.0 if first % 2 else 1.0 for first in firsts]
