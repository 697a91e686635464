"""Design, section 6, number 8: a bad update is named, and nothing of it is applied."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import Invalid, LossStrategy, Phase, Update
from tests import toys


class Poisoned(LossStrategy):
    """Batch normalisation, dropout and a NaN wherever ``where`` says, when example 77 is in the batch."""

    def __init__(self, where):
        self.where = where

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"])]

    def loss(self, nets, batch, noise):
        hit = tf.cast(tf.reduce_any(batch["index"] == 77), tf.float32)
        poison = tf.where(hit > 0, np.nan, 0.0)
        x = batch["x"] + (poison if self.where == "input" else 0.0)
        y = nets["net"](x, training=True)[:, 0]
        if self.where == "gradient":
            y = _bad_gradient(y, hit)
        error = tf.square(y - 1.0)
        return {"error": error, "other": tf.reduce_mean(y) * 0.1 + (poison if self.where == "term" else 0.0)}


@tf.custom_gradient
def _bad_gradient(y, hit):
    """``y``, with an infinite gradient on a hit."""
    return y, lambda upstream: (upstream + tf.where(hit > 0, np.inf, 0.0), None)


def poisoned(where, on_bad_update="stop", plan="graph"):
    keras.utils.set_random_seed(0)
    nets = {"net": keras.Sequential([keras.layers.Dense(8), keras.layers.BatchNormalization(),
                                     keras.layers.Dropout(0.2), keras.layers.Dense(1)])}
    made = toys.engine(Poisoned(where), nets, {"fit": Update(toys.adam(), average=0.9)}, toys.points(8),
                       on_bad_update=on_bad_update, plan=plan)
    return made, nets


def first_hit(source):
    """The number of the first batch that holds example 77."""
    numbers = range(source.batches_per_epoch)
    return next(k for k in numbers if 77 in source.batch(tf.constant(k, tf.int64), ())["index"].numpy())


@pytest.mark.parametrize("plan", ["graph", "xla", "eager"])
@pytest.mark.parametrize("where, terms", [("term", {"other"}), ("gradient", {"gradient_norm"}),
                                          ("input", {"error", "other", "gradient_norm"})])
def test_the_first_bad_update_is_named_and_leaves_no_trace(where, terms, plan):
    made, nets = poisoned(where, plan=plan)
    hit = first_hit(made.source)
    made.run(hit)
    other, others = poisoned(where, plan=plan)
    report = other.run(40)
    assert report.stopped
    assert (report.fault.cycle, report.fault.phase, report.fault.update) == (hit, "fit", hit)
    assert set(report.fault.terms) == terms
    assert other.place.slot == hit
    np.testing.assert_array_equal(toys.bits(made, nets), toys.bits(other, others))
    assert report.totals["fit"]["error"][1] == hit * 8
    assert np.isfinite(float(report.totals["fit"]["error"][0]))


def test_a_fault_in_the_middle_of_a_cycle_stops_there():
    nets = toys.gan_nets()
    strategy = toys.TinyGAN()
    critic = strategy.critic
    strategy.critic = lambda nets, batch, noise: {
        name: term + tf.where(tf.reduce_any(batch["index"] == 77), np.inf, 0.0)
        for name, term in critic(nets, batch, noise).items()}
    made = toys.engine(strategy, nets, {"critic": toys.adam(), "generator": toys.adam()}, toys.points(8))
    hit = first_hit(made.source)
    report = made.run(10)
    assert (report.fault.cycle, report.fault.phase, report.fault.update) == (hit // 5, "critic", hit)
    assert set(report.fault.terms) == {"wasserstein", "penalty"}
    assert toys.done(made) == {"critic": hit, "generator": hit // 5, "": hit}
    assert str(report.fault).startswith(f"cycle {hit // 5}, phase critic, update {hit}: critic/wasserstein is ")
    assert int(made.parts["critic"].commit.update.optimizer.iterations) == hit
    assert report.totals["critic"]["penalty"][1] == hit * 8


def test_skip_applies_nothing_of_a_bad_update_counts_it_and_goes_on():
    whole, nets = poisoned("input", on_bad_update="skip")
    hit = first_hit(whole.source)
    report = whole.run(hit + 4)
    assert not report.stopped
    assert (report.rejected, report.fault.update) == ({"fit": 1}, hit)
    assert whole.place.slot == hit + 4
    assert report.totals["fit"]["error"][1] == (hit + 3) * 8
    assert int(whole.parts["fit"].commit.update.optimizer.iterations) == hit + 3
    parts, others = poisoned("input", on_bad_update="skip")
    parts.run(hit)
    before = toys.bits(parts, others)
    assert parts.run(1).rejected == {"fit": 1}
    np.testing.assert_array_equal(toys.bits(parts, others), before)
    parts.run(3)
    np.testing.assert_array_equal(toys.bits(parts, others), toys.bits(whole, nets))


class AlwaysBad(LossStrategy):
    def phases(self):
        return [Phase("fit", lambda nets, batch, noise: {"error": nets["net"](batch["x"])[:, 0] * np.nan},
                      updates=["net"])]


@pytest.mark.parametrize("per_call", [1, 4, 50])
def test_skip_stops_after_ten_in_a_row_however_long_the_calls(per_call):
    made = toys.engine(AlwaysBad(), {"net": toys.net(1)}, {"fit": toys.adam()}, toys.points(), on_bad_update="skip")
    for _ in range(50):
        report = made.run(per_call)
        if report.stopped:
            break
    assert (report.stopped, made.streak, made.place.slot) == (True, 10, 9)


def test_an_unknown_policy_is_refused():
    with pytest.raises(Invalid, match=r"`on_bad_update` \(ignore\) must be one of stop, skip"):
        poisoned("term", on_bad_update="ignore")
