"""The second half of an update: averages, clipping, loss scaling, precision, and what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import Invalid, LossStrategy, Phase, Trainer, Update, prepare
from tests import pairs, toys

RATE = 0.1


class Affine(LossStrategy):
    """Least squares of x·w + b to the sum of x plus 3. Batches named in ``poisoned`` give NaN."""

    def __init__(self, poisoned=()):
        self.poisoned = poisoned

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"])]

    def loss(self, nets, batch, noise):
        hit = [tf.reduce_any(batch["index"] == index) for index in self.poisoned]
        poison = tf.where(tf.reduce_any(hit), np.nan, 0.0) if hit else 0.0
        return {"squared_error": tf.square(self._error(nets, batch)) + poison}

    def _error(self, nets, batch):
        return tf.cast(nets["net"](batch["x"])[:, 0], tf.float32) - tf.reduce_sum(batch["x"], axis=1) - 3.0

    def metrics(self, nets, batch, noise):
        return {"squared_error": tf.square(self._error(nets, batch))}

    def pictures(self, nets, batch, noise):
        return {"bias": tf.ones([2, 1, 1, 1]) * nets["net"].variables[1].value}


def affine_net():
    return {"net": keras.Sequential([keras.layers.Dense(1, kernel_initializer="zeros")])}


def affine(strategy=None, optimizer=None, source=None, loss_scaling=False, plan="graph", workers=None, **options):
    nets = affine_net()
    update = Update(optimizer or keras.optimizers.SGD(RATE), **options)
    made = toys.engine(strategy or Affine(), nets, {"fit": update}, source or toys.points(), on_bad_update="skip",
                       loss_scaling=loss_scaling, plan=plan, workers=workers)
    return made, nets


def by_hand(source, updates, clip=None, skipped=()):
    """[updates + 1, 7]: kernel and bias before each update and after the last; and the gradients' norms."""
    w, rows, norms = np.zeros([7]), [np.zeros([7])], []
    for number in range(updates):
        x = source.batch(tf.constant(number, tf.int64), ())["x"].numpy().astype("float64")
        with_one = np.concatenate([x, np.ones([len(x), 1])], axis=1)
        gradient = 2 * with_one.T @ (with_one @ w - x.sum(axis=1) - 3) / len(x)
        norms.append(np.linalg.norm(gradient))
        if number not in skipped:
            w = w - RATE * gradient * (min(1, clip / norms[-1]) if clip else 1)
        rows.append(w)
    return np.array(rows), np.array(norms)


def values(variables):
    return np.concatenate([v.numpy().ravel() for v in variables])


def averages(made):
    return values([average for _, average in made.parts["fit"].average.pairs])


def averaged(rows, decay):
    """The moving average over the rows that follow the first one."""
    average = rows[0]
    for n, row in enumerate(rows[1:], start=1):
        d = min(decay, (1 + n) / (10 + n))
        average = d * average + (1 - d) * row
    return average


def test_the_average_is_the_moving_average_of_the_weights():
    made, nets = affine(average=0.5)  # reached at n = 8, where (1 + n) / (10 + n) = 1/2
    np.testing.assert_array_equal(averages(made), 0.0)
    made.run(3)
    rows, _ = by_hand(made.source, 12)
    np.testing.assert_allclose(averages(made), averaged(rows[:4], 0.5), rtol=1e-5)
    made.run(9)
    np.testing.assert_allclose(values(nets["net"].variables), rows[12], rtol=1e-5)
    np.testing.assert_allclose(averages(made), averaged(rows, 0.5), rtol=1e-5)


def test_the_average_moves_only_with_applied_updates():
    source = toys.points()
    index = int(source.batch(tf.constant(2, tf.int64), ())["index"][0])
    made, nets = affine(Affine(poisoned=[index]), source=source, average=0.9)
    made.run(2)
    before = averages(made)
    assert made.run(1).rejected == {"fit": 1}
    np.testing.assert_array_equal(averages(made), before)
    made.run(3)
    rows, _ = by_hand(source, 6, skipped=[2])
    np.testing.assert_allclose(values(nets["net"].variables), rows[6], rtol=1e-5)
    np.testing.assert_allclose(averages(made), averaged(np.delete(rows, 3, axis=0), 0.9), rtol=1e-5)


def test_evaluation_and_pictures_read_the_average_and_training_goes_on_from_the_weights():
    nets = affine_net()
    trainer = Trainer(Affine(), nets, Update(keras.optimizers.SGD(RATE), average=0.5), toys.points())
    trainer.train(cycles=4)
    rows, _ = by_hand(trainer.data, 8)
    w = averaged(rows[:5], 0.5)
    error = toys.POINTS @ w[:6] + w[6] - toys.POINTS.sum(axis=1) - 3
    assert trainer.evaluate(toys.points(64)) == {"squared_error": pytest.approx(np.mean(error**2), rel=1e-5)}
    np.testing.assert_allclose(trainer.pictures(2)["bias"].ravel(), [w[6]] * 2, rtol=1e-5)
    np.testing.assert_allclose(values(nets["net"].variables), rows[4], rtol=1e-5)
    trainer.train(cycles=8)
    np.testing.assert_allclose(values(nets["net"].variables), rows[8], rtol=1e-5)


def test_clipping_is_by_the_global_norm_over_all_variables():
    made, nets = affine(clip_norm=4.0)
    rows, norms = by_hand(made.source, 10, clip=4.0)
    assert norms[0] > 4 > norms[-1]  # some are clipped and some are not
    totals = made.run(10).totals["fit"]
    np.testing.assert_allclose(values(nets["net"].variables), rows[-1], rtol=1e-5)
    assert totals["gradient_norm"] == (pytest.approx(norms.sum(), rel=1e-5), 10)  # logged as it was before


@pytest.mark.parametrize("plan", ["eager", "graph", "xla"])
def test_weights_are_clamped_after_each_update(plan):
    made, nets = affine(plan=plan, clip_weights=0.25, average=0.5)
    w, rows = np.zeros([7]), [np.zeros([7])]
    for number in range(6):
        x = made.source.batch(tf.constant(number, tf.int64), ())["x"].numpy().astype("float64")
        with_one = np.concatenate([x, np.ones([len(x), 1])], axis=1)
        gradient = 2 * with_one.T @ (with_one @ w - x.sum(axis=1) - 3) / len(x)
        w = np.clip(w - RATE * gradient, -0.25, 0.25)
        rows.append(w)
    assert 0 < np.sum(np.abs(w) == 0.25) < 7  # some are at the bound and some are within
    made.run(6)
    np.testing.assert_allclose(values(nets["net"].variables), w, rtol=1e-4)
    np.testing.assert_allclose(averages(made), averaged(rows, 0.5), rtol=1e-4)  # of the clamped weights


def test_a_rejected_update_clamps_nothing():
    source = toys.points()
    index = int(source.batch(tf.constant(0, tf.int64), ())["index"][0])
    made, nets = affine(Affine(poisoned=[index]), source=source, clip_weights=0.25)
    for variable in nets["net"].variables:
        variable.assign(tf.ones_like(variable.value))
    assert made.run(1).rejected == {"fit": 1}
    np.testing.assert_array_equal(values(nets["net"].variables), 1.0)
    made.run(1)
    np.testing.assert_array_equal(values(nets["net"].variables), 0.25)


def test_only_the_phases_own_weights_are_clamped():
    nets = toys.gan_nets()
    updates = {"critic": Update(toys.adam(), clip_weights=0.01), "generator": Update(toys.adam())}
    made = toys.engine(toys.TinyGAN(), nets, updates, toys.points())
    made.run(2)
    assert np.abs(values(nets["critic"].variables)).max() == np.float32(0.01)
    assert np.abs(values(nets["generator"].variables)).max() > 0.1


def test_workers_clamp_alike():
    made, nets = affine(clip_weights=0.25)
    made.run(4)
    (_, copies, _), (_, others, _) = pairs.trained(lambda workers: affine(clip_weights=0.25, workers=workers), 4)
    np.testing.assert_array_equal(values(copies["net"].variables), values(others["net"].variables))
    np.testing.assert_allclose(values(copies["net"].variables), values(nets["net"].variables), rtol=1e-5)
    assert np.abs(values(copies["net"].variables)).max() == 0.25


def half_net():
    prepare(0, "float16")
    return affine(loss_scaling=True)


def test_an_overflow_in_float16_halves_the_scale_and_is_no_fault():
    made, nets = half_net()
    scale = made.parts["fit"].commit.loss_scale
    assert (float(scale.scale), int(scale.good)) == (2.0**15, 0)
    scale.scale.assign(2.0**30)
    scale.good.assign(7)
    report = made.run(1)
    assert (report.rejected, report.fault, report.stopped) == ({"fit": 1}, None, False)
    assert (float(scale.scale), int(scale.good), made.place.slot, made.streak) == (2.0**29, 0, 1, 0)
    assert int(made.parts["fit"].commit.update.optimizer.iterations) == 0
    np.testing.assert_array_equal(values(nets["net"].variables), 0.0)
    assert report.totals["fit"]["squared_error"] == (0.0, 0)
    report = made.run(40)  # more in a row than skip allows, if they were faults
    assert 10 < report.rejected["fit"] < 25 and report.fault is None
    applied = 40 - report.rejected["fit"]
    assert float(scale.scale) == 2.0 ** (29 - report.rejected["fit"])
    assert int(made.parts["fit"].commit.update.optimizer.iterations) == applied
    assert report.totals["fit"]["objective"][1] == applied
    made.run(1)
    assert int(scale.good) >= 1


def test_the_scale_doubles_after_2000_good_updates():
    made, _ = half_net()
    scale = made.parts["fit"].commit.loss_scale
    scale.scale.assign(64.0)
    scale.good.assign(1998)
    seen = [(made.run(1).rejected["fit"], float(scale.scale), int(scale.good)) for _ in range(3)]
    assert seen == [(0, 64.0, 1999), (0, 128.0, 0), (0, 128.0, 1)]


def test_the_scale_changes_no_gradient():
    made, nets = half_net()
    scale = made.parts["fit"].commit.loss_scale
    scale.scale.assign(256.0)
    totals = made.run(8).totals["fit"]
    rows, norms = by_hand(made.source, 8)
    np.testing.assert_allclose(values(nets["net"].variables), rows[-1], rtol=0.02, atol=0.02)
    assert totals["gradient_norm"] == (pytest.approx(norms.sum(), rel=0.02), 8)


def test_an_overflow_at_the_smallest_scale_is_a_fault():
    class Steep(Affine):
        def loss(self, nets, batch, noise):
            return {"steep": 1e5 * tf.cast(nets["net"](batch["x"])[:, 0], tf.float32)}

    prepare(0, "float16")
    made, _ = affine(Steep(), source=toys.points(1), loss_scaling=True)  # each gradient is 1e5: more than float16 holds
    made.parts["fit"].commit.loss_scale.scale.assign(2.0)
    first, second = made.run(1), made.run(1)
    assert (first.rejected, first.fault) == ({"fit": 1}, None)
    assert second.fault.terms == {"gradient_norm": np.inf}
    assert float(made.parts["fit"].commit.loss_scale.scale) == 1.0


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_nets_in_half_precision_train_and_means_are_float32(precision):
    seen = {}

    class Watching(Affine):
        def phases(self):
            return [Phase("fit", self.loss, updates=["net"], watch=["large"])]

        def loss(self, nets, batch, noise):
            y = nets["net"](batch["x"])[:, 0]
            seen["output"] = y.dtype.name
            large = tf.zeros_like(y) + 60_000.0  # eight of them overflow in float16, and round in bfloat16
            return {**super().loss(nets, batch, noise), "large": large}

    prepare(0, precision)
    nets = {"net": toys.net(16, 1)}
    trainer = Trainer(Watching(), nets, toys.adam(0.05), toys.points(), precision=precision)
    before = trainer.evaluate(toys.points(50))["squared_error"]
    trainer.train(cycles=60)
    assert seen["output"] == precision
    assert trainer.evaluate(toys.points(50))["squared_error"] < 0.3 * before
    assert {v.dtype for v in nets["net"].variables} == {"float32"}
    assert (trainer.engine.parts["fit"].commit.loss_scale is not None) == (precision == "float16")
    mean = float(tf.cast(tf.constant(60_000.0, precision), tf.float32))
    total, count = trainer.engine.run(1).totals["fit"]["large"]
    assert total / count == mean


def sgd(**options):
    return keras.optimizers.SGD(RATE, **options)


@pytest.mark.parametrize("make, text", [
    (lambda: Update(sgd(clipnorm=1.0)), r"`clipnorm of the optimizer` \(1.0\) must be unset: Update clips"),
    (lambda: Update(sgd(clipvalue=0.5)), r"`clipvalue of the optimizer` \(0.5\) must be unset"),
    (lambda: Update(sgd(global_clipnorm=2.0)), r"`global_clipnorm of the optimizer` \(2.0\) must be unset"),
    (lambda: Update(sgd(gradient_accumulation_steps=4)),
     r"`gradient_accumulation_steps of the optimizer` \(4\) must be unset: .*accumulates"),
    (lambda: Update(sgd(loss_scale_factor=8.0)), r"`loss_scale_factor of the optimizer` \(8.0\) must be unset"),
    (lambda: Update(sgd(use_ema=True)), r"`use_ema of the optimizer` \(True\) must be False: use Update\(average="),
    (lambda: Update(keras.optimizers.LossScaleOptimizer(sgd())),
     r"`optimizer` \(.*\) must be the optimizer inside it: Trainer\(precision=\"float16\"\) scales the loss"),
    (lambda: Update("adam"), r"`optimizer` \(adam\) must be a Keras optimizer"),
    (lambda: Update(sgd(), clip_norm=0.0), r"`clip_norm` \(0.0\) must be above 0, or None"),
    (lambda: Update(sgd(), clip_norm=-1.0), r"`clip_norm` \(-1.0\) must be above 0, or None"),
    (lambda: Update(sgd(), clip_norm=float("nan")), r"`clip_norm` \(nan\) must be above 0, or None"),
    (lambda: Update(sgd(), accumulate=0), r"`accumulate` \(0\) must be an integer of at least 1"),
    (lambda: Update(sgd(), accumulate=2.0), r"`accumulate` \(2.0\) must be an integer of at least 1"),
    (lambda: Update(sgd(), average=0.0), r"`average` \(0.0\) must be between 0 and 1, or None"),
    (lambda: Update(sgd(), average=1.0), r"`average` \(1.0\) must be between 0 and 1, or None"),
    (lambda: Update(sgd(), clip_weights=0.0), r"`clip_weights` \(0.0\) must be above 0, or None"),
    (lambda: Update(sgd(), clip_weights=-0.01), r"`clip_weights` \(-0.01\) must be above 0, or None"),
    (lambda: Update(sgd(), clip_weights=float("nan")), r"`clip_weights` \(nan\) must be above 0, or None"),
])
def test_fields_out_of_range_and_optimizers_that_do_the_engines_work_are_refused(make, text):
    with pytest.raises(Invalid, match=text):
        make()
